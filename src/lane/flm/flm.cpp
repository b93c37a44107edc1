#include "lane/flm/flm.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/sanity.h"
#include "lane/options.h"
#include "plan/shape.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

/// Two requests at once on one process corrupt its memory.
constexpr std::uint32_t kFlmRequestsMax = 1;
/// Several processes on one NPU work on some machines and fail on others; more by configuration.
constexpr std::uint32_t kFlmResidentsMax = 1;
/// It raises shorter ones to this.
constexpr std::uint32_t kContextMin = 512;
/// Connections it takes; beyond them it closes without a word. Health, a request, some in closing.
constexpr std::string_view kSockets = "16";
/// Requests it may hold back: none of ours, but one may come while a cancelled one still ends.
constexpr std::string_view kQueue = "4";
/// Locked memory beyond the model's footprint, as its own start-up code counts it: buffers,
/// embedding and speech models beside it.
constexpr std::uint64_t kMemlockHeadroomBytes = std::uint64_t{2} << 30U;
constexpr std::size_t kTagsInMessage = 8;

constexpr std::array<Reserved, 16> kFlmReserved{{
    {"--host", kRemove},
    {"--port", kRemove},
    {"-p", kRemove},
    {"--ctx-len", "use the model's `context`"},
    {"-c", "use the model's `context`"},
    {"--asr", "load the speech model by its own name"},
    {"-a", "load the speech model by its own name"},
    {"--embed", "load the embedding model by its own name"},
    {"-e", "load the embedding model by its own name"},
    {"--socket", kRemove},
    {"-s", kRemove},
    {"--q-len", kRemove},
    {"-q", kRemove},
    {"--sleep-idle-seconds", "use the model's `keep_warm`"},
    {"--hf", "pull the model with FLM first"},
    {"--json", kRemove},
}};

Variables variables() {
    return {{"FLM_DISABLE_UPDATE_CHECK", "1"}};
}

bool is_served_beside(Purpose purpose) {
    return purpose == Purpose::embed || purpose == Purpose::transcribe;
}

class FlmLane final : public ChildLane {
public:
    using ChildLane::ChildLane;

    static Result<std::shared_ptr<Lane>> open(const Settings& settings, const Parts& parts) {
        if (settings.requests_max > kFlmRequestsMax) {
            return fail(Fault::invalid,
                        "lane {}: requests_max is {}, but two requests at once corrupt FLM's "
                        "memory; remove it",
                        settings.name, settings.requests_max);
        }
        TRILANE_TRY(OpenedLane opened,
                    open_shared(settings, parts, kFlmDescriptor, "npu", kFlmReserved));
        return std::shared_ptr<Lane>(std::make_shared<FlmLane>(std::move(opened), kFlmDescriptor));
    }

    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override {
        return ChildLane::can_serve(entry) && !entry.path.empty();
    }
    [[nodiscard]] std::vector<catalog::Entry> offers() const override {
        const std::lock_guard<std::mutex> lock(mutex_);
        return offers_;
    }
    Status refresh_offers(const CancelToken& cancel) override { return read_offers(cancel); }
    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& wishes) const override;

protected:
    Result<Launch> launch(const LoadRequest& request, std::uint16_t port) override;
    Status try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) override;

private:
    Status read_offers(const CancelToken& cancel);
    Status require_installed(const std::string& tag, const CancelToken& cancel);
    Status require_home() const;
    [[nodiscard]] std::vector<std::string> arguments(const LoadRequest& request,
                                                     std::uint32_t context_tokens,
                                                     std::uint16_t port,
                                                     const HelpText& help) const;

    mutable std::mutex mutex_;
    std::vector<catalog::Entry> offers_;  // as last read
};

/// **Errors:** invalid: FLM would not find its models.
Status FlmLane::require_home() const {
    const std::vector<std::string> given = environment(variables());
    if (variable_in(given, "HOME").empty() && variable_in(given, "FLM_MODEL_PATH").empty()) {
        return fail(Fault::invalid,
                    "lane {}: {} looks for its models below HOME, which is not set; set HOME or "
                    "FLM_MODEL_PATH in the lane's `environment`",
                    name(), program_name());
    }
    return {};
}

Status FlmLane::read_offers(const CancelToken& cancel) {
    TRILANE_TRY_STATUS(require_home());
    TRILANE_TRY(const Printed printed, ask({"list", "-j"}, variables(), cancel));
    Result<std::vector<catalog::Entry>> entries = catalog::parse_flm_list(printed.json);
    if (!entries) {
        return fail(entries.error().fault, "lane {}: `{} list -j` {} and printed \"{}\" ({})",
                    name(), program_name(), printed.exit.text(), excerpt(printed.text),
                    entries.error().message);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    offers_ = *std::move(entries);
    return {};
}

/// Reads the list anew: FLM silently loads, and downloads, another model for a tag that it does not
/// have. **Errors:** not_found, with what is installed.
Status FlmLane::require_installed(const std::string& tag, const CancelToken& cancel) {
    TRILANE_TRY_STATUS(read_offers(cancel));
    std::string names;
    std::size_t count = 0;
    for (const catalog::Entry& entry : offers()) {
        if (entry.path == tag) {
            return {};
        }
        if (++count <= kTagsInMessage) {
            names += (names.empty() ? "" : ", ") + entry.path;
        }
    }
    if (count > kTagsInMessage) {
        names += ", …";
    }
    return fail(Fault::not_found, "{} has no model {} installed (it has: {}); run `{} pull {}`",
                program_name(), tag, names.empty() ? "none" : names, program_name(), tag);
}

Result<plan::Need> FlmLane::need(const catalog::Entry& entry, const LoadWishes& wishes) const {
    const std::uint64_t footprint =
        entry.footprint_bytes != 0 ? entry.footprint_bytes : entry.bytes;
    const std::uint32_t wanted =
        wishes.context_tokens == 0 ? 0 : std::max(wishes.context_tokens, kContextMin);
    plan::Need need = plan::flm_need(footprint, wanted, entry.context_tokens);
    need.parallel = kFlmRequestsMax;
    return need;
}

std::vector<std::string> FlmLane::arguments(const LoadRequest& request,
                                            std::uint32_t context_tokens, std::uint16_t port,
                                            const HelpText& help) const {
    Arguments line(help, user_args(request.wishes));
    line.add("serve");
    if (!is_served_beside(request.entry.purpose)) {
        line.add(request.entry.path);
        if (context_tokens != 0) {
            line.set({"--ctx-len", "-c"}, std::to_string(context_tokens));
        }
    }
    line.set({"--host"}, kChildHost);
    line.add("--port").add(std::to_string(port));
    if (request.entry.purpose == Purpose::embed) {
        line.add("--embed").add("1");
    } else if (request.entry.purpose == Purpose::transcribe) {
        line.add("--asr").add("1");
    }
    line.set({"--socket", "-s"}, kSockets);
    line.set({"--q-len", "-q"}, kQueue);
    line.set({"--cors"}, "0");
    line.set({"--quiet"});
    return std::move(line).finish();
}

Result<Launch> FlmLane::launch(const LoadRequest& request, std::uint16_t port) {
    TRILANE_TRY_STATUS(refuse_reserved(request.wishes.args, kFlmReserved, name()));
    TRILANE_TRY_STATUS(require_installed(request.entry.path, request.cancel));
    TRILANE_TRY(const auto options, help(variables(), request.cancel));
    plan::Need planned = request.need;
    if (planned.context_tokens == 0) {
        TRILANE_TRY(planned, need(request.entry, request.wishes));
    }
    Launch launch;
    launch.arguments = arguments(request, planned.context_tokens, port, *options);
    launch.environment = variables();
    launch.memlock_bytes = planned.bytes() + kMemlockHeadroomBytes;
    launch.ready_targets = {"/api/tags"};  // /health is missing in some versions
    launch.resident.card = card_of(request.entry);
    launch.resident.card.context_tokens = planned.context_tokens;
    // Its list of models says which see and hear, ours does not: it is asked in any case.
    launch.resident.card.abilities.vision = launch.resident.card.abilities.chat;
    launch.resident.card.abilities.hearing = launch.resident.card.abilities.chat;
    launch.resident.upstream_model = request.entry.path;
    launch.resident.slots = kFlmRequestsMax;
    launch.resident.silence_timeout = std::chrono::seconds(settings().silence_timeout_s);
    launch.resident.rules = flm_rules();
    launch.takes_chat = !is_served_beside(request.entry.purpose);
    launch.sounds.hears_wav = request.entry.purpose == Purpose::transcribe;
    return launch;
}

Status FlmLane::try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) {
    const auto& arguments = launch.arguments;
    const std::string& model = launch.resident.upstream_model;
    const bool embeds = std::find(arguments.begin(), arguments.end(), "--embed") != arguments.end();
    return embeds ? check_embedding(client, watch, model)
                  : check_transcription(client, watch, "/v1/audio/transcriptions", model);
}

constexpr std::array kFlmPurposes{Purpose::chat, Purpose::embed, Purpose::transcribe};
constexpr std::array<std::string_view, 2> kFlmPrograms{"flm", "oflm"};
constexpr std::array kFlmOptions{
    option::device("npu, which shares the system's memory"),
    option::program("flm, else oflm, on PATH"),
    option::args(),
    option::environment("Further variables, such as { FLM_MODEL_PATH = \"/srv/flm\" }; none of "
                        "FLM's own is inherited."),
    option::residents_max("1; some machines take three"),
    option::cgroup(),
    option::start_timeout(),
    option::hang_timeout(),
    option::silence_timeout(),
};

}  // namespace

const Descriptor kFlmDescriptor{
    .kind = "flm",
    .summary = "FastFlowLM or OpenFlowLM as a child: its own models on AMD's NPU",
    .silicon = Silicon::npu,
    .store = catalog::Store::flm,
    .purposes = kFlmPurposes,
    .programs = kFlmPrograms,
    .options = kFlmOptions,
    .residents_max = kFlmResidentsMax,
    .requests_max = kFlmRequestsMax,
    .takes_args = true,
    .open = open_flm_lane,
};

UpstreamRules flm_rules() {
    UpstreamRules rules;
    rules.max_tokens_min = 2;
    rules.retry_once_on_error = true;
    rules.errors_in_200 = true;
    rules.renumber_tool_calls = true;
    rules.never_says_length = true;
    rules.stops_ignored = true;
    rules.single_choice = true;
    rules.end_may_be_missing = true;
    rules.check_model = true;
    rules.integer_min_p = true;
    rules.health_at_tags = true;
    rules.cancel_may_linger = true;
    rules.think_is_a_parameter = true;
    rules.formats = UpstreamFormats::none;
    rules.tool_choice = UpstreamToolChoice::none;
    rules.continuing = UpstreamContinuing::never;
    rules.vectors_one_by_one = true;
    rules.no_token_pages = true;
    rules.plain_transcripts = true;
    return rules;
}

Result<std::shared_ptr<Lane>> open_flm_lane(const Settings& settings, const Parts& parts) {
    return FlmLane::open(settings, parts);
}

}  // namespace trilane::lane
