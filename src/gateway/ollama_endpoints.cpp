// Ollama's rows of the endpoint table.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <utility>

#include "dialect/ollama/library_asks.h"
#include "dialect/ollama/listings.h"
#include "dialect/ollama/ollama.h"
#include "gateway/desk.h"
#include "gateway/ollama_library.h"
#include "gateway/visitor_load.h"

namespace trilane::gateway {
namespace {

namespace ollama = dialect::ollama;

constexpr std::string_view kOllamaTag = "Ollama";

using Staying = std::optional<std::chrono::milliseconds>;

/// keep_alive as the plane wants it: a negative one is for ever.
Staying staying(std::chrono::milliseconds keep_alive) {
    return keep_alive.count() < 0 ? Staying() : keep_alive;
}

/// A writer that also tells the plane how long the model is to stay: once the request has its
/// lease, so that the model is there to be told of.
class KeepingWriter final : public dialect::AnswerWriter {
public:
    KeepingWriter(std::unique_ptr<dialect::AnswerWriter> writer, plane::Service& service,
                  std::string model, Staying time)
        : writer_(std::move(writer)), service_(service), model_(std::move(model)), time_(time) {}

    void name_model(std::string_view id) override { writer_->name_model(id); }
    std::string on_event(std::size_t job_index, const job::Event& event) override {
        if (std::holds_alternative<job::Started>(event) && !std::exchange(told_, true)) {
            static_cast<void>(service_.keep(model_, time_));  // a loss shows by itself
        }
        return writer_->on_event(job_index, event);
    }
    [[nodiscard]] bool finished() const override { return writer_->finished(); }
    [[nodiscard]] const Error* error() const override { return writer_->error(); }
    [[nodiscard]] std::string body() const override { return writer_->body(); }
    [[nodiscard]] std::string content_type() const override { return writer_->content_type(); }
    [[nodiscard]] std::string heartbeat() const override { return writer_->heartbeat(); }

private:
    std::unique_ptr<dialect::AnswerWriter> writer_;
    plane::Service& service_;
    std::string model_;
    Staying time_;
    bool told_ = false;
};

Result<ollama::Preset> preset_of(const Desk& desk, const access::Visit& visit,
                                 const std::string& model) {
    TRILANE_TRY(const job::ModelCard card, desk.find_for(visit, model));
    ollama::Preset preset;
    preset.abilities = card.abilities;
    if (desk.library() != nullptr) {
        if (const auto further = desk.library()->further_name(model)) {
            preset.system = further->system;
            preset.parameters = further->parameters;
        }
    }
    return preset;
}

/// Lets the model go: an administrator's word counts at once and for pinned models, too; others
/// wait for those who still use it.
Status let_go(plane::Service& service, const std::string& model, bool by_admin) {
    Status gone =
        by_admin ? service.unload(model) : service.keep(model, std::chrono::milliseconds(0));
    // It was known a moment ago: what is not found is not loaded.
    return gone || gone.error().fault == Fault::not_found ? Status() : gone;
}

/// A request without a prompt: the model is to come, or to go.
void load_or_unload(Desk& desk, Call call, ollama::Endpoint endpoint, ollama::Asking asking) {
    const auto now_ns = ollama::real_clock().unix_ns;
    const std::string& model = asking.asked.model;
    const auto card = desk.model_for(call, model);
    if (!card) {
        return;
    }
    if (asking.keep_alive == std::chrono::milliseconds(0)) {
        const Status gone = let_go(desk.service(), model, call.visit.is_admin());
        if (!gone) {
            desk.refuse(call, gone.error());
            return;
        }
        desk.respond_json(call, ollama::loaded_body(endpoint, asking.named, "unload", now_ns()));
        return;
    }
    const auto context = context_ordered(call.visit, desk.service().view(), card->id,
                                         "options.num_ctx", asking.context_tokens);
    if (!context) {
        desk.refuse(call, context.error());
        return;
    }
    plane::Service::LoadAsk ask;
    ask.model = model;
    ask.lanes = call.visit.lanes();
    ask.context_tokens = *context;
    desk.service().load(
        std::move(ask),
        [&desk, endpoint, asking = std::make_shared<ollama::Asking>(std::move(asking)),
         shared = std::make_shared<Call>(std::move(call)), now_ns](const Status& loaded) {
            if (!loaded) {
                desk.refuse(*shared, loaded.error());
                return;
            }
            if (asking->keep_alive) {
                static_cast<void>(
                    desk.service().keep(asking->asked.model, staying(*asking->keep_alive)));
            }
            desk.respond_json(*shared,
                              ollama::loaded_body(endpoint, asking->named, "load", now_ns()));
        });
}

template <ollama::Endpoint endpoint>
void answer(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call read) {
        auto asking =
            ollama::ask(endpoint, read.request.body, desk.context(),
                        [&](const std::string& name) { return preset_of(desk, read.visit, name); });
        if (!asking) {
            desk.refuse(read, asking.error());
            return;
        }
        if (asking->load_only) {
            load_or_unload(desk, std::move(read), endpoint, *std::move(asking));
            return;
        }
        if (asking->keep_alive) {
            dialect::Asked& asked = asking->asked;
            asked.writer = std::make_unique<KeepingWriter>(
                std::move(asked.writer), desk.service(), asked.model, staying(*asking->keep_alive));
        }
        desk.submit(std::move(read), std::move(asking->asked));
    });
}

/// Models as lists show them. What is stored is the library's to say: a model in memory may know
/// less of its file.
class Lister {
public:
    explicit Lister(const Desk& desk) {
        if (desk.library() != nullptr) {
            for (catalog::Entry& entry : desk.library()->list()) {
                std::string id = entry.id;
                entries_.emplace(std::move(id), std::move(entry));
            }
        }
    }

    [[nodiscard]] ollama::Listed listed(job::ModelCard card,
                                        const catalog::FurtherName* further) const {
        if (const auto entry = entries_.find(card.id); entry != entries_.end()) {
            card.bytes = entry->second.bytes;
            card.created_unix_s = entry->second.added_unix_s;
        }
        ollama::Listed one;
        one.name = further != nullptr ? further->name : card.id;
        one.parent = further != nullptr ? card.id : "";
        one.digest = digest_of(card, further);
        one.modified_unix_s = further != nullptr ? further->added_unix_s : card.created_unix_s;
        one.card = std::move(card);
        return one;
    }

private:
    /// Ollama's digests are those of manifests: they change when anything of a model does.
    static std::string digest_of(const job::ModelCard& card, const catalog::FurtherName* further) {
        std::string facts = fmt::format("{}\n{}\n{}", card.id, card.bytes, card.created_unix_s);
        if (further != nullptr) {
            facts +=
                fmt::format("\n{}\n{}\n{}", further->name, further->system, further->parameters);
        }
        return catalog::sha256_of_text(facts);
    }

    std::map<std::string, catalog::Entry> entries_;
};

void list_models_as_ollama(Desk& desk, Call call) {
    const Lister lister(desk);
    std::vector<ollama::Listed> models;
    for (job::ModelCard& card : desk.models_for(call.visit)) {
        models.push_back(lister.listed(std::move(card), nullptr));
    }
    if (desk.library() != nullptr) {
        for (const catalog::FurtherName& further : desk.library()->further_names()) {
            auto card = desk.service().find(further.model);
            if (card && call.visit.may_use_model(card->id)) {
                models.push_back(lister.listed(*std::move(card), &further));
            }
        }
    }
    std::erase_if(models, [](const ollama::Listed& model) {
        return !ollama::is_listed(model.card.abilities);
    });
    desk.respond_json(call, ollama::tags_body(models));
}

void list_running(Desk& desk, Call call) {
    const Lister lister(desk);
    std::vector<ollama::Running> running;
    for (const plane::LaneView& lane : desk.service().view().lanes) {
        for (const plane::Residency& one : lane.residents) {
            auto card = desk.service().find(one.model);
            if (!card || !lane::takes_requests(one.state) || !call.visit.may_use_model(card->id)) {
                continue;
            }
            ollama::Running& out = running.emplace_back();
            out.listed = lister.listed(*std::move(card), nullptr);
            out.bytes = std::max(one.planned_bytes, one.load.observed.bytes());
            out.gpu_bytes = lane.silicon == "cpu" ? 0 : out.bytes;
            out.expires_unix_ms = one.expires_unix_ms;
            out.context_tokens = one.context_tokens;
        }
    }
    desk.respond_json(call, ollama::ps_body(running));
}

void show_model_as_ollama(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call read) {
        const auto ask = ollama::read_name_ask(read.request.body);
        if (!ask) {
            desk.refuse(read, ask.error());
            return;
        }
        auto card = desk.model_for(read, ask->model);
        if (!card) {
            return;
        }
        const auto shown = std::make_shared<ollama::Shown>();
        shown->licence = card->licence;
        std::optional<catalog::FurtherName> further;
        if (desk.library() != nullptr) {
            further = desk.library()->further_name(ask->model);
        }
        if (further) {
            shown->system = further->system;
            shown->parameters = further->parameters;
            shown->licence = further->licence.empty() ? shown->licence : further->licence;
        }
        const std::string id = card->id;
        shown->listed = Lister(desk).listed(*std::move(card), further ? &*further : nullptr);
        if (desk.library() == nullptr) {
            desk.respond_json(read, ollama::show_body(*shown));
            return;
        }
        desk.library()->describe(id, ask->verbose,
                                 [&desk, shown, shared = std::make_shared<Call>(std::move(read))](
                                     Result<catalog::Description> description) {
                                     // Models of other stores have no files here: what is known is
                                     // what is shown.
                                     if (description) {
                                         shown->template_text =
                                             std::move(description->template_text);
                                         shown->metadata = std::move(description->metadata);
                                     }
                                     desk.respond_json(*shared, ollama::show_body(*shown));
                                 });
    });
}

void version(Desk& desk, Call call) {
    desk.respond_json(call, ollama::version_body(desk.version()));
}

using Answer = void (*)(Desk& desk, Call call);

constexpr Endpoint row(std::string_view method, std::string_view path, Guard guard, Answer answer,
                       std::string_view summary, std::string_view request = "",
                       std::string_view response = "", std::string_view stream_type = "") {
    return {method, path,
            guard,  &ollama::kErrorShape,
            answer, {kOllamaTag, summary, request, response, stream_type}};
}

constexpr std::array kOllamaRows = {
    row("POST", "/api/chat", Guard::key, answer<ollama::Endpoint::chat>,
        "The next turn of a conversation", "OllamaChatRequest", "OllamaChatResponse",
        dialect::kNdjsonType),
    row("POST", "/api/generate", Guard::key, answer<ollama::Endpoint::generate>,
        "The answer to a prompt", "OllamaGenerateRequest", "OllamaGenerateResponse",
        dialect::kNdjsonType),
    row("POST", "/api/embed", Guard::key, answer<ollama::Endpoint::embed>, "Vectors of texts",
        "OllamaEmbedRequest", "OllamaEmbedResponse"),
    row("POST", "/api/embeddings", Guard::key, answer<ollama::Endpoint::embeddings>,
        "The vector of one text"),
    row("GET", "/api/tags", Guard::key, list_models_as_ollama, "The models that can be asked", "",
        "OllamaTags"),
    row("GET", "/api/ps", Guard::key, list_running, "The models in memory", "", "OllamaRunning"),
    row("POST", "/api/show", Guard::key, show_model_as_ollama, "All that is known of a model",
        "OllamaName", "OllamaShow"),
    row("GET", "/api/version", Guard::open, version, "The version of the API that is spoken"),
    row("POST", "/api/pull", Guard::admin, ollama_library::pull, "Download a model", "OllamaName",
        "", dialect::kNdjsonType),
    row("POST", "/api/create", Guard::admin, ollama_library::create, "Make a model of another", "",
        "", dialect::kNdjsonType),
    row("POST", "/api/copy", Guard::admin, ollama_library::copy, "Give a model a further name"),
    row("DELETE", "/api/delete", Guard::admin, ollama_library::remove,
        "Delete a model, or a further name", "OllamaName"),
    row("HEAD", "/api/blobs/", Guard::key, ollama_library::blob, "Whether a file is here"),
    row("POST", "/api/blobs/", Guard::admin, ollama_library::blob,
        "Refused: files are imported on the machine itself"),
    row("POST", "/api/push", Guard::admin, ollama_library::push,
        "Refused: models are not pushed from here"),
};

}  // namespace

std::span<const Endpoint> ollama_endpoints() {
    return kOllamaRows;
}

}  // namespace trilane::gateway
