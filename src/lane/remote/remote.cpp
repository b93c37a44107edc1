#include "lane/remote/remote.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "base/check.h"
#include "lane/card.h"
#include "lane/options.h"
#include "net/client.h"
#include "os/log_ring.h"

namespace trilane::lane {
namespace {

using catalog::Purpose;
using std::chrono::milliseconds;

constexpr std::uint32_t kRequestsDefault = 8;
constexpr std::uint32_t kRemoteRequestsMax = 1'024;
/// They take nothing here: what the server can have loaded at once is its own affair.
constexpr std::uint32_t kRemoteResidentsMax = 256;
constexpr milliseconds kListTimeout{10'000};
/// A far machine that wakes up, or loads the model for us, may take its time.
constexpr milliseconds kHealthTimeout{10'000};
/// One for a list of models and one to spare.
constexpr std::size_t kListConnectionsMax = 2;

/// A key that would break out of its header.
bool is_key(std::string_view key) {
    return std::ranges::all_of(key, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

/// The name says it, or nobody does.
Purpose purpose_of(std::string_view model) {
    std::string name(model);
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    struct Word {
        std::string_view part;
        Purpose purpose;
    };
    constexpr std::array kWords = std::to_array<Word>({
        {"rerank", Purpose::rerank},
        {"embed", Purpose::embed},
        {"bge-", Purpose::embed},
        {"gte-", Purpose::embed},
        {"e5-", Purpose::embed},
        {"minilm", Purpose::embed},
        {"whisper", Purpose::transcribe},
        {"transcribe", Purpose::transcribe},
        {"tts", Purpose::speak},
        {"kokoro", Purpose::speak},
        {"dall-e", Purpose::image},
        {"image", Purpose::image},
        {"flux", Purpose::image},
        {"stable-diffusion", Purpose::image},
        {"sdxl", Purpose::image},
    });
    for (const Word& word : kWords) {
        if (name.find(word.part) != std::string::npos) {
            return word.purpose;
        }
    }
    return Purpose::chat;
}

class RemoteLane final : public Lane {
public:
    RemoteLane(Settings settings, const Parts& parts, net::Target target)
        : settings_(std::move(settings)),
          loops_(*parts.loops),
          say_(parts.log),
          target_(std::move(target)),
          log_(std::make_shared<os::LogRing>()) {
        set_offers(settings_.models);
    }

    [[nodiscard]] const std::string& name() const override { return settings_.name; }
    [[nodiscard]] const Descriptor& descriptor() const override { return kRemoteDescriptor; }
    [[nodiscard]] const std::string& device() const override { return settings_.device; }
    [[nodiscard]] std::uint32_t residents_max() const override { return settings_.residents_max; }
    [[nodiscard]] std::shared_ptr<os::LogRing> log() const override { return log_; }

    [[nodiscard]] bool can_serve(const catalog::Entry& entry) const override {
        const auto purposes = kRemoteDescriptor.purposes;
        return entry.store == catalog::Store::remote && !entry.path.empty() &&
               std::ranges::find(purposes, entry.purpose) != purposes.end();
    }

    [[nodiscard]] std::vector<catalog::Entry> offers() const override {
        const std::scoped_lock lock(mutex_);
        return offers_;
    }

    Status refresh_offers(const CancelToken& cancel) override {
        if (!settings_.models.empty()) {
            return {};
        }
        net::ClientLimits limits;
        limits.connections_max = kListConnectionsMax;
        net::Client client(loops_, target_, limits);
        auto models = list_upstream_models(client, settings_.api_key, kListTimeout, cancel);
        if (!models) {
            return tl::unexpected(worded(std::move(models).error()));
        }
        set_offers(*models);
        return {};
    }

    [[nodiscard]] Result<plan::Need> need(const catalog::Entry& entry,
                                          const LoadWishes& wishes) const override {
        plan::Need need;
        need.context_tokens = context_tokens(entry, wishes);
        need.context_tokens_max = entry.context_tokens;
        need.parallel = slots(wishes);
        return need;
    }

    Result<std::shared_ptr<Resident>> load(LoadRequest request) override {
        if (!can_serve(request.entry)) {
            return fail(Fault::invalid, "lane {}: {} is no model that it can serve", name(),
                        request.entry.id);
        }
        if (request.on_phase) {
            request.on_phase(LoadPhase::starting);
        }
        auto resident = std::make_shared<HttpResident>(loops_, resident_options(request));
        Status health = resident->check_health(kHealthTimeout, request.cancel);
        if (request.on_phase) {
            request.on_phase(LoadPhase::warming);
        }
        // Only on demand: answers may cost money.
        if (health && settings_.sanity && resident->card().abilities.chat) {
            health = resident->check_sanity(std::chrono::seconds(settings_.hang_timeout_s),
                                            request.cancel);
        }
        if (request.cancel.cancelled()) {
            return fail(Fault::cancelled, "the load was cancelled");
        }
        if (!health) {
            Error error = worded(health.error());
            note(fmt::format("{}: {} cannot be used: {}", name(), request.entry.id, error.message));
            return tl::unexpected(std::move(error));
        }
        note(fmt::format("{}: {} is ready at {}", name(), request.entry.id, target_.text()));
        return std::shared_ptr<Resident>(std::move(resident));
    }

private:
    [[nodiscard]] std::uint32_t slots(const LoadWishes& wishes) const {
        return wishes.parallel == 0 ? settings_.requests_max
                                    : std::min(wishes.parallel, settings_.requests_max);
    }

    [[nodiscard]] std::uint32_t context_tokens(const catalog::Entry& entry,
                                               const LoadWishes& wishes) const {
        return wishes.context_tokens != 0  ? wishes.context_tokens
               : entry.context_tokens != 0 ? entry.context_tokens
                                           : settings_.context_tokens;
    }

    [[nodiscard]] HttpResidentOptions resident_options(const LoadRequest& request) const {
        HttpResidentOptions options;
        options.card.id = request.entry.id;
        options.card.name = request.entry.id;
        options.card.abilities = abilities_of(request.entry.purpose);
        // Which of its models see and hear, the server knows best.
        options.card.abilities.vision = options.card.abilities.chat;
        options.card.abilities.hearing = options.card.abilities.chat;
        options.card.context_tokens = request.need.context_tokens != 0
                                          ? request.need.context_tokens
                                          : context_tokens(request.entry, request.wishes);
        options.upstream_model = request.entry.path;
        options.slots = slots(request.wishes);
        options.target = target_;
        options.api_key = settings_.api_key;
        options.rules = remote_rules();
        options.hang_timeout = std::chrono::seconds(settings_.hang_timeout_s);
        options.silence_timeout = std::chrono::seconds(settings_.silence_timeout_s);
        options.health_interval = std::min(options.health_interval, options.hang_timeout / 4);
        options.health_timeout = std::min(kHealthTimeout, options.hang_timeout / 2);
        options.on_lost = request.on_lost;
        return options;
    }

    void set_offers(const std::vector<std::string>& models) {
        std::vector<catalog::Entry> offers;
        for (const std::string& model : models) {
            catalog::Entry entry;
            entry.id = model;
            entry.store = catalog::Store::remote;
            entry.purpose = purpose_of(model);
            entry.path = model;
            entry.context_tokens = settings_.context_tokens;
            offers.push_back(std::move(entry));
        }
        const std::scoped_lock lock(mutex_);
        offers_ = std::move(offers);
    }

    [[nodiscard]] Error worded(Error error) const {
        return std::move(error).because(fmt::format("lane {} at {}", name(), target_.text()));
    }

    void note(std::string_view line) const {
        log_->note(line);
        if (say_) {
            say_(line);
        }
    }

    const Settings settings_;
    net::Loops& loops_;
    const std::function<void(std::string_view)> say_;
    const net::Target target_;
    const std::shared_ptr<os::LogRing> log_;
    mutable std::mutex mutex_;
    std::vector<catalog::Entry> offers_;
};

constexpr std::array kRemotePurposes{Purpose::chat,       Purpose::embed, Purpose::rerank,
                                     Purpose::transcribe, Purpose::speak, Purpose::image,
                                     Purpose::unknown};
constexpr std::array kRemoteOptions{
    Option{.key = "url",
           .type = OptionType::text,
           .field = &Settings::url,
           .text = "Where the server is: http://HOST:PORT, https://HOST/v1, unix:/PATH. Required."},
    Option{.key = "api_key_file",
           .type = OptionType::text,
           .field = &Settings::api_key_file,
           .text = "File that holds its key; keys do not stand in this file.",
           .usual = "it needs none"},
    Option{.key = "models",
           .type = OptionType::texts,
           .field = &Settings::models,
           .text = "Models to use there; empty: all that it lists."},
    Option{.key = "context",
           .type = OptionType::count,
           .field = &Settings::context_tokens,
           .text = "Longest prompt and answer of its models, in tokens.",
           .usual = "not known",
           .max = option::kContextTokensMax},
    option::requests_max("Requests at once per model.", "8", kRemoteRequestsMax),
    option::residents_max("256; they take no memory here"),
    option::hang_timeout("Busy, without a token and without health for so long: given up, and "
                         "connected anew with the next request."),
    option::silence_timeout("Busy and without a token for so long, whatever its health: given up, "
                            "and connected anew with the next request."),
    Option{.key = "sanity",
           .type = OptionType::flag,
           .field = &Settings::sanity,
           .text = "A model that chats must answer a short test question before it is used; that "
                   "may cost money."},
};

}  // namespace

const Descriptor kRemoteDescriptor{
    .kind = "remote",
    .summary = "Any server that speaks OpenAI's API: vLLM, SGLang, another Trilane, a service",
    .silicon = Silicon::remote,
    .store = catalog::Store::remote,
    .purposes = kRemotePurposes,
    .programs = {},
    .options = kRemoteOptions,
    .residents_max = kRemoteResidentsMax,
    .requests_max = kRequestsDefault,
    .open = open_remote_lane,
};

UpstreamRules remote_rules() {
    UpstreamRules rules;
    rules.errors_in_200 = true;
    rules.end_may_be_missing = true;
    rules.no_health = true;
    rules.sparse_parameters = true;
    rules.fetches_urls = true;
    return rules;
}

Result<std::shared_ptr<Lane>> open_remote_lane(const Settings& settings, const Parts& parts) {
    TRILANE_CHECK(parts.loops != nullptr);
    if (settings.url.empty()) {
        return fail(Fault::invalid, "lane {}: a remote lane needs a url, such as http://host:8000",
                    settings.name);
    }
    auto target = net::parse_url(settings.url);
    if (!target) {
        return tl::unexpected(
            std::move(target).error().because(fmt::format("lane {}", settings.name)));
    }
    if (!is_key(settings.api_key)) {
        return fail(Fault::invalid,
                    "lane {}: the api_key holds blanks or characters that no key has; write it "
                    "without a line break",
                    settings.name);
    }
    if (settings.requests_max > kRemoteRequestsMax || settings.hang_timeout_s == 0 ||
        settings.silence_timeout_s == 0) {
        return fail(Fault::invalid,
                    "lane {}: requests_max must be at most {}, hang_timeout and silence_timeout at "
                    "least one second",
                    settings.name, kRemoteRequestsMax);
    }
    Settings complete = settings;
    if (complete.requests_max == 0) {
        complete.requests_max = kRequestsDefault;
    }
    if (complete.residents_max == 0) {
        complete.residents_max = kRemoteResidentsMax;
    }
    return std::shared_ptr<Lane>(
        std::make_shared<RemoteLane>(std::move(complete), parts, *std::move(target)));
}

}  // namespace trilane::lane
