#include "lane/llama_server/llama_server.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "gguf/gguf.h"
#include "json/json.h"
#include "lane/card.h"
#include "lane/child/child_lane.h"
#include "lane/child/sanity.h"
#include "lane/llama_server/command.h"
#include "lane/options.h"
#include "plan/shape.h"
#include "probe/engines.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;

/// Of one request, when nobody wishes otherwise and the model was made for more.
constexpr std::uint32_t kContextDefault = 8'192;
constexpr std::uint32_t kParallelMax = 64;
constexpr std::uint32_t kLlamaServerResidentsMax = 16;
constexpr std::uint32_t kBatchDefault = 2'048;
constexpr std::uint32_t kMicroBatchDefault = 512;

bool pools(Purpose purpose) {
    return purpose == Purpose::embed || purpose == Purpose::rerank;
}

std::uint64_t size_of(const std::string& path) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
}

/// A member of an object as a non-negative integer; 0 when it is none.
std::uint64_t integer_in(const json::Value& object, const char* name) {
    if (!object.is_object() || !object.contains(name) || !object[name].is_number_integer()) {
        return 0;
    }
    const auto number = object[name].get<std::int64_t>();
    return number < 0 ? 0 : static_cast<std::uint64_t>(number);
}

json::Value object_in(const json::Value& object, const char* name) {
    return object.is_object() && object.contains(name) ? object[name] : json::Value();
}

bool says(const json::Value& object, const char* name) {
    return object.is_object() && object.contains(name) && object[name] == true;
}

/// A GET whose answer should be JSON; null when the server has no such thing.
Result<json::Value> read_json(net::Client& client, const LoadWatch& watch, const char* target) {
    net::Outgoing request;
    request.target = target;
    TRILANE_TRY(const net::WholeAnswer answer, watch.fetch(client, std::move(request)));
    Result<json::Value> value = json::parse(answer.body);
    return answer.head.status == 200 && value ? std::move(value) : json::Value();
}

class LlamaServerLane final : public ChildLane {
public:
    using ChildLane::ChildLane;

    static Result<std::shared_ptr<Lane>> open(const Settings& settings, const Parts& parts) {
        const bool on_cpu = settings.engine_device == "none";
        TRILANE_TRY(OpenedLane opened,
                    open_shared(settings, parts, kLlamaServerDescriptor, on_cpu ? "cpu" : "gpu0",
                                llama_server::reserved_options()));
        return std::shared_ptr<Lane>(
            std::make_shared<LlamaServerLane>(std::move(opened), kLlamaServerDescriptor));
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& wishes) const override;

protected:
    Result<Launch> launch(const LoadRequest& request, std::uint16_t port) override;
    Status describe(net::Client& client, const LoadWatch& watch, Launch& launch) override;
    Status try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) override;

private:
    using Devices = std::vector<probe::EngineDevice>;

    [[nodiscard]] bool on_gpu() const {
        return device().starts_with("gpu") && settings().engine_device != "none";
    }
    [[nodiscard]] plan::Wishes plan_wishes(const catalog::Entry& entry, const LoadWishes& wishes,
                                           std::uint32_t context_tokens_max) const;
    Result<std::shared_ptr<const Devices>> list_devices(const CancelToken& cancel);
    Result<std::string> chosen_device(const HelpText& help, const CancelToken& cancel);
    Status require_device(const CancelToken& cancel);
    static bool has_device(const Devices& devices, std::string_view name);

    OncePerVersion<Devices> devices_{program()};
};

plan::Wishes LlamaServerLane::plan_wishes(const catalog::Entry& entry, const LoadWishes& wishes,
                                          std::uint32_t context_tokens_max) const {
    plan::Wishes planned;
    planned.context_tokens = wishes.context_tokens;
    if (planned.context_tokens == 0) {
        planned.context_tokens = context_tokens_max == 0
                                     ? kContextDefault
                                     : std::min(context_tokens_max, kContextDefault);
    }
    const std::uint32_t most = settings().requests_max == 0
                                   ? kParallelMax
                                   : std::min(settings().requests_max, kParallelMax);
    planned.parallel = std::clamp(
        wishes.parallel == 0 ? llama_server::kParallelDefault : wishes.parallel, 1U, most);
    planned.kv = wishes.kv;
    planned.prompt_cache_bytes = settings().prompt_cache_bytes;
    planned.on_gpu = on_gpu();
    planned.context_checkpoints = llama_server::kContextCheckpoints;
    if (pools(entry.purpose)) {
        planned.batch_tokens = planned.context_tokens;
        planned.micro_batch_tokens = planned.context_tokens;
    } else {
        planned.batch_tokens = kBatchDefault;
        planned.micro_batch_tokens = kMicroBatchDefault;
        planned.projector_bytes = size_of(entry.projector_path);
    }
    return planned;
}

Result<plan::Need> LlamaServerLane::need(const catalog::Entry& entry,
                                         const LoadWishes& wishes) const {
    TRILANE_TRY(const auto file, gguf::File::open(entry.path));
    TRILANE_TRY(plan::Shape shape, plan::read_shape(*file));
    for (const std::string& path : entry.more_paths) {
        TRILANE_TRY(const auto part, gguf::File::open(path));
        plan::add_part(shape, *part);
    }
    return plan::llama_server_need(shape, plan_wishes(entry, wishes, shape.context_tokens));
}

bool LlamaServerLane::has_device(const Devices& devices, std::string_view name) {
    return std::any_of(devices.begin(), devices.end(),
                       [name](const probe::EngineDevice& device) { return device.name == name; });
}

Result<std::shared_ptr<const LlamaServerLane::Devices>> LlamaServerLane::list_devices(
    const CancelToken& cancel) {
    return devices_.get([&]() -> Result<Devices> {
        TRILANE_TRY(const Printed printed, ask({"--list-devices"}, {}, cancel));
        return probe::parse_device_list(printed.text);
    });
}

/// As the program calls it; "" = its own choice. Where nobody says, the program would spread the
/// model over all GPUs, or take another one than the plan has: then it is the planned one, if the
/// program's list tells which that is. **Errors:** as require_device.
Result<std::string> LlamaServerLane::chosen_device(const HelpText& help,
                                                   const CancelToken& cancel) {
    const std::string& wanted = settings().engine_device;
    if (!help.knows("--list-devices") || wanted == "none") {
        return wanted;
    }
    if (!wanted.empty()) {
        TRILANE_TRY_STATUS(require_device(cancel));
        return wanted;
    }
    if (settings().gpu.empty() || !on_gpu()) {
        return wanted;
    }
    TRILANE_TRY(const auto devices, list_devices(cancel));
    std::string found = probe::engine_device_of(settings().gpu, *devices);
    log()->note(found.empty()
                    ? fmt::format("{} does not tell which of its devices {} is and takes those it "
                                  "likes; set `engine_device`",
                                  program_name(), device())
                    : fmt::format("{} is {}'s {}", device(), program_name(), found));
    return found;
}

/// **Errors:** not_found: the program does not list `engine_device`, and what it lists.
Status LlamaServerLane::require_device(const CancelToken& cancel) {
    const std::string& wanted = settings().engine_device;
    TRILANE_TRY(auto devices, list_devices(cancel));
    if (!has_device(*devices, wanted)) {
        devices_.forget();  // drivers come and go while the program stays the same
        TRILANE_TRY(devices, list_devices(cancel));
    }
    if (has_device(*devices, wanted)) {
        return {};
    }
    std::string names;
    for (const probe::EngineDevice& device : *devices) {
        names += (names.empty() ? "" : ", ") + device.name;
    }
    return fail(Fault::not_found,
                "lane {}: {} has no device {}; set `engine_device` to one of those there are ({})",
                name(), program_name(), wanted, names.empty() ? "none" : names);
}

Result<Launch> LlamaServerLane::launch(const LoadRequest& request, std::uint16_t port) {
    TRILANE_TRY_STATUS(
        refuse_reserved(request.wishes.args, llama_server::reserved_options(), name()));
    plan::Need planned = request.need;
    if (planned.context_tokens == 0) {
        TRILANE_TRY(planned, need(request.entry, request.wishes));
    }
    TRILANE_TRY(const auto options, help({}, request.cancel));
    TRILANE_TRY(std::string engine_device, chosen_device(*options, request.cancel));

    llama_server::Command command;
    command.entry = request.entry;
    command.port = port;
    command.context_tokens = planned.context_tokens;
    command.parallel = std::max(planned.parallel, 1U);
    command.kv = request.wishes.kv;
    command.on_gpu = on_gpu();
    command.engine_device = std::move(engine_device);
    command.prompt_cache_bytes = settings().prompt_cache_bytes;
    command.user_args = user_args(request.wishes);

    Launch launch;
    launch.arguments = llama_server::arguments(command, *options);
    launch.resident.card = card_of(request.entry);
    launch.resident.card.context_tokens = planned.context_tokens;
    launch.resident.upstream_model = request.entry.id;
    launch.resident.slots = command.parallel;
    launch.resident.silence_timeout = std::chrono::seconds(settings().silence_timeout_s);
    // Closing the connection cancels, but the slot ends its step first; a further request would
    // wait inside the server, where nobody can take it back.
    launch.resident.rules.cancel_may_linger = true;
    launch.resident.rules.single_choice = true;
    launch.takes_chat = !pools(request.entry.purpose);
    launch.resident.rules.formats = UpstreamFormats::grammars;
    launch.resident.rules.tool_choice = UpstreamToolChoice::words;
    launch.resident.rules.continuing = UpstreamContinuing::by_last_message;
    launch.resident.rules.infill = true;
    launch.resident.rules.renders_templates = true;
    return launch;
}

Status LlamaServerLane::describe(net::Client& client, const LoadWatch& watch, Launch& launch) {
    TRILANE_TRY(const json::Value props, read_json(client, watch, "/props"));
    TRILANE_TRY(const json::Value models, read_json(client, watch, "/v1/models"));
    job::ModelCard& card = launch.resident.card;
    const std::uint64_t context =
        integer_in(object_in(props, "default_generation_settings"), "n_ctx");
    if (context != 0 && context < card.context_tokens) {
        card.context_tokens = static_cast<std::uint32_t>(context);
    }
    const std::uint64_t slots = integer_in(props, "total_slots");
    if (slots != 0 && slots < launch.resident.slots) {
        launch.resident.slots = static_cast<std::uint32_t>(slots);
    }
    const json::Value data = object_in(models, "data");
    const json::Value meta =
        data.is_array() && !data.empty() ? object_in(data.front(), "meta") : json::Value();
    if (const std::uint64_t parameters = integer_in(meta, "n_params"); parameters != 0) {
        card.parameters = parameters;
    }
    const json::Value senses = object_in(props, "modalities");
    card.abilities.vision = card.abilities.vision || says(senses, "vision");
    card.abilities.hearing = says(senses, "audio");
    card.vocab_tokens = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(integer_in(meta, "n_vocab"), UINT32_MAX));
    return {};
}

Status LlamaServerLane::try_out(net::Client& client, const LoadWatch& watch, const Launch& launch) {
    const auto& arguments = launch.arguments;
    const bool ranks = std::any_of(arguments.begin(), arguments.end(), [](const std::string& each) {
        return each == "--reranking" || each == "--rerank";
    });
    const std::string& model = launch.resident.upstream_model;
    return ranks ? check_reranking(client, watch, model) : check_embedding(client, watch, model);
}

constexpr std::array kLlamaServerPurposes{Purpose::chat, Purpose::embed, Purpose::rerank,
                                          Purpose::unknown};
constexpr std::array<std::string_view, 1> kLlamaServerPrograms{"llama-server"};
constexpr std::array kLlamaServerOptions{
    option::device("the GPU that the program would choose, else the CPU"),
    option::program("llama-server on PATH"),
    Option{.key = "engine_device",
           .type = OptionType::text,
           .field = &Settings::engine_device,
           .text = "The device as its --list-devices names it: \"Vulkan0\", \"ROCm0\"; \"none\" is "
                   "the CPU.",
           .usual = "the one that `device` is, where its list tells; else its own choice"},
    option::args(),
    option::environment(),
    option::residents_max("16; memory decides first"),
    option::requests_max("Most requests at once per model, whatever its `parallel` says.",
                         "as the model says, or 4", kParallelMax),
    Option{.key = "prompt_cache",
           .type = OptionType::bytes,
           .field = &Settings::prompt_cache_bytes,
           .text = "Memory for finished prompts (its --cache-ram)."},
    option::cgroup(),
    option::start_timeout(),
    option::hang_timeout(),
    option::silence_timeout(),
};

}  // namespace

const Descriptor kLlamaServerDescriptor{
    .kind = "llama-server",
    .summary = "llama.cpp's server as a child: any GGUF model on a GPU (Vulkan, ROCm, CUDA) or CPU",
    .silicon = Silicon::gpu,
    .store = catalog::Store::gguf,
    .purposes = kLlamaServerPurposes,
    .programs = kLlamaServerPrograms,
    .options = kLlamaServerOptions,
    .residents_max = kLlamaServerResidentsMax,
    .requests_max = 0,
    .takes_kv = true,
    .takes_args = true,
    .open = open_llama_server_lane,
};

Result<std::shared_ptr<Lane>> open_llama_server_lane(const Settings& settings, const Parts& parts) {
    return LlamaServerLane::open(settings, parts);
}

}  // namespace trilane::lane
