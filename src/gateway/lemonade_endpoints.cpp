// Lemonade's rows of the endpoint table: those that it has beside OpenAI's. Every path is also
// answered below its other prefixes (endpoint.h).
#include "gateway/lemonade_endpoints.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "dialect/lemonade/lemonade.h"
#include "dialect/lemonade/listings.h"
#include "gateway/lemonade_library.h"
#include "gateway/lemonade_machine.h"
#include "gateway/lemonade_shelf.h"
#include "gateway/query.h"
#include "gateway/visitor_load.h"

namespace trilane::gateway {
namespace lemonade_api {
namespace {

namespace fs = std::filesystem;

/// What a name means to who asks; else the refusal is on its way.
std::optional<Meant> meant_for(Desk& desk, Call& call, std::string_view name) {
    auto found = meant(desk, call.visit, name);
    if (!found) {
        desk.refuse(call, found.error());
        return std::nullopt;
    }
    if (!call.visit.may_use_model(found->card.id)) {
        desk.refuse(call, 403, Desk::not_for_key(call.visit, name));
        return std::nullopt;
    }
    return *std::move(found);
}

void health(Desk& desk, Call call) {
    lemonade::Health out;
    out.server_version = desk.version();
    out.port = desk.port();
    out.base_url = desk.base_url(call);
    out.loaded = Shelf(desk).loaded();
    std::erase_if(out.loaded, [&](const lemonade::Loaded& one) {
        return !call.visit.may_use_model(one.offered.card.id);
    });
    desk.respond_json(call, lemonade::health_body(out));
}

void stats(Desk& desk, Call call) {
    lemonade::Stats out;
    const auto record = desk.last_answer();
    if (record && call.visit.may_use_model(record->model) &&
        call.visit.may_use_lane(record->lane)) {
        out.last.emplace();
        out.last->first_token_s = record->first_text_s;
        out.last->prompt_tokens = record->usage.prompt_tokens;
        out.last->cached_tokens = record->usage.cached_tokens;
        out.last->output_tokens = record->usage.completion_tokens;
        out.last->output_ms = record->timings.predicted_ms;
    }
    // Lanes count for all their models together.
    out.has_totals = desk.models_for(call.visit).size() == desk.service().models().size();
    for (const plane::LaneView& lane : desk.service().view().lanes) {
        if (!call.visit.may_use_lane(lane.name)) {
            continue;
        }
        out.requests_total += lane.requests_total;
        out.prompt_tokens_total += lane.prompt_tokens_total;
        out.cached_tokens_total += lane.cached_tokens_total;
        out.output_tokens_total += lane.predicted_tokens_total;
    }
    desk.respond_json(call, lemonade::stats_body(out));
}

std::optional<lemonade::System::Disk> disk_of(const std::string& directory) {
    std::error_code failed;
    fs::path place = directory;
    // Before the first pull it is not there: where it will be made.
    while (!place.empty() && place != place.parent_path() && !fs::exists(place, failed)) {
        place = place.parent_path();
    }
    const fs::space_info space = place.empty() ? fs::space_info{} : fs::space(place, failed);
    if (place.empty() || failed) {
        return std::nullopt;
    }
    return lemonade::System::Disk{directory, space.capacity, space.available};
}

void system_info(Desk& desk, Call call) {
    const auto machine = desk.machine();
    lemonade::System out = system_of(machine);
    out.server_version = desk.version();
    out.models_disk = disk_of(desk.models_directory());
    out.recipes = recipe_states(desk.service().view(), machine, desk.version());
    desk.respond_json(call, lemonade::system_info_body(out));
}

void system_stats(Desk& desk, Call call) {
    desk.respond_json(call, lemonade::system_stats_body(usage_of(desk.machine())));
}

void slots(Desk& desk, Call call) {
    std::vector<std::pair<std::string, bool>> out;
    for (const plane::LaneView& lane : desk.service().view().lanes) {
        for (const plane::Residency& one : lane.residents) {
            if (!call.visit.may_use_model(one.model) || !call.visit.may_use_lane(lane.name)) {
                continue;
            }
            for (std::uint32_t i = 0; i < one.load.slots; ++i) {
                out.emplace_back(one.model, i < one.load.slots_busy);
            }
        }
    }
    desk.respond_json(call, lemonade::slots_body(out));
}

void list_files(Desk& desk, Call call) {
    const auto found = meant_for(desk, call, call.tail);
    if (!found) {
        return;
    }
    const Shelf shelf(desk);
    std::vector<lemonade::ModelFile> files;
    const auto add = [&files](const std::string& path, std::string_view role) {
        std::error_code failed;
        const auto bytes = fs::file_size(path, failed);
        files.push_back(
            {path, std::string(role), failed ? std::nullopt : std::optional<std::uint64_t>(bytes)});
    };
    const catalog::Entry* entry = shelf.entry(found->card.id);
    if (entry != nullptr && entry->store == catalog::Store::gguf) {
        add(entry->path, "main");
        for (const std::string& path : entry->more_paths) {
            add(path, "shard");
        }
        if (!entry->projector_path.empty()) {
            add(entry->projector_path, "mmproj");
        }
    }
    const bool paths = query_text(call.request.target, "include_paths") == "true";
    if (paths && !call.visit.is_admin()) {
        desk.refuse(call, 403,
                    "include_paths: where files lie is for administrators; leave it out");
        return;
    }
    desk.respond_json(call, lemonade::files_body(found->card.id, files, paths));
}

void show_options(Desk& desk, Call call) {
    auto found = meant_for(desk, call, call.tail);
    if (!found) {
        return;
    }
    const Shelf shelf(desk);
    desk.respond_json(call,
                      lemonade::options_body(shelf.offered(std::move(found->card), call.tail)));
}

/// The lanes that an option of a load means: those of that silicon that run the model's recipe and
/// that the key may use. Which of them the model may use, the plane knows.
/// **Errors:** invalid, naming the lanes there are for the key.
Result<std::vector<std::string>> lanes_for(const lemonade::LoadAsk& ask, std::string_view recipe,
                                           const plane::View& view, const access::Visit& visit) {
    constexpr std::string_view kSilicon[] = {"", "cpu", "gpu", "npu"};
    const std::string_view silicon = kSilicon[static_cast<std::size_t>(ask.backend)];
    std::vector<std::string> lanes;
    std::string known;
    for (const plane::LaneView& lane : view.lanes) {
        if (!visit.may_use_lane(lane.name)) {
            continue;
        }
        if (lane.silicon == silicon && recipe_of_kind(lane.kind) == recipe) {
            lanes.push_back(lane.name);
        }
        known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", lane.name, lane.silicon);
    }
    if (lanes.empty()) {
        return fail(Fault::invalid,
                    "{}: no lane here runs {} there; leave it out for the best of the lanes: {}",
                    ask.backend_field, recipe, known);
    }
    return lanes;
}

/// What a load needs to be told, beside what was asked.
struct Loading {
    plane::Service::LoadAsk ask;
    bool anew = false;  ///< it has less context in memory than is asked for
};

Result<Loading> loading_of(Desk& desk, const Call& call, lemonade::LoadAsk& ask,
                           const Meant& meant) {
    const Shelf shelf(desk);
    const job::ModelCard& card = meant.card;
    const lemonade::Offered model = shelf.offered(card, ask.model);
    const std::string lane = shelf.lane_named(meant);
    Loading out;
    out.ask.model = meant.name;
    out.ask.lanes = call.visit.lanes();
    out.ask.pin = ask.pinned;
    if (ask.backend != lemonade::Backend::any) {
        TRILANE_TRY(out.ask.lanes, lanes_for(ask, model.recipe, shelf.view(), call.visit));
        if (out.ask.lanes.size() == 1) {
            out.ask.lane = out.ask.lanes.front();  // a pin then is one to that lane
        }
    }
    if (ask.context_tokens) {
        // Lemonade's clients ask for much and take what the model was made for.
        const std::uint32_t most = model.context_max_tokens;
        out.ask.context_tokens =
            most > 0 ? std::min(*ask.context_tokens, most) : *ask.context_tokens;
        const plane::Residency* resident = shelf.residency(card.id, lane);
        out.anew = resident != nullptr && resident->context_tokens > 0 &&
                   resident->context_tokens < *out.ask.context_tokens;
        if (resident != nullptr && !out.anew) {
            out.ask.context_tokens.reset();  // more than enough stays
        }
    }
    if (out.anew && !ask.pinned && call.visit.is_admin() &&
        shelf.residency(card.id, lane)->pinned) {
        out.ask.pin = true;  // an unload ends that
    }
    if (out.anew && !call.visit.is_admin()) {
        out.anew = false;
        ask.ignored.emplace_back(
            "ctx_size: the model is in memory with less, and only administrators have it loaded "
            "anew");
    }
    TRILANE_TRY(out.ask.context_tokens, context_ordered(call.visit, shelf.view(), card.id,
                                                        "ctx_size", out.ask.context_tokens));
    return out;
}

void begin_load(Desk& desk, Call call, lemonade::LoadAsk ask) {
    const auto found = meant_for(desk, call, ask.model);
    if (!found) {
        return;
    }
    if (ask.pinned && !call.visit.is_admin()) {
        desk.refuse(call, 403, "pinned: who stays in memory is for administrators; leave it out");
        return;
    }
    auto loading = loading_of(desk, call, ask, *found);
    if (!loading) {
        desk.refuse(call, loading.error());
        return;
    }
    if (loading->anew) {
        static_cast<void>(desk.service().unload(found->name));  // or it has gone by itself
    }
    desk.service().load(std::move(loading->ask), [&desk, ask = std::move(ask),
                                                  shared = std::make_shared<Call>(std::move(call))](
                                                     const Status& loaded) {
        if (!loaded) {
            desk.refuse(*shared, loaded.error());
            return;
        }
        desk.respond_json(
            *shared, lemonade::success_body(fmt::format("Loaded model: {}", ask.model), ask.model,
                                            ask.ignored));
    });
}

void load(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        auto ask = lemonade::read_load_ask(whole.request.body);
        if (!ask) {
            desk.refuse(whole, ask.error());
            return;
        }
        begin_load(desk, std::move(whole), *std::move(ask));
    });
}

/// An administrator's word counts at once and for pinned models, too; others' models go when
/// nobody uses them.
Status let_model_go(Desk& desk, const Call& call, const std::string& name) {
    return call.visit.is_admin() ? desk.service().unload(name)
                                 : desk.service().keep(name, std::chrono::milliseconds(0));
}

void unload_all(Desk& desk, Call& call) {
    for (const plane::LaneView& lane : desk.service().view().lanes) {
        for (const plane::Residency& one : lane.residents) {
            if (!lane::takes_requests(one.state) || !call.visit.may_use_model(one.model)) {
                continue;
            }
            const Status gone = let_model_go(desk, call, one.model);
            if (!gone && gone.error().fault != Fault::not_found) {  // it may have gone by itself
                desk.refuse(call, gone.error());
                return;
            }
        }
    }
    desk.respond_json(call, lemonade::success_body("All models unloaded successfully"));
}

void unload(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        const auto name = lemonade::read_unload_ask(whole.request.body);
        if (!name) {
            desk.refuse(whole, name.error());
            return;
        }
        if (name->empty()) {
            unload_all(desk, whole);
            return;
        }
        const auto found = meant_for(desk, whole, *name);
        if (!found) {
            return;
        }
        const Status gone = let_model_go(desk, whole, found->name);
        if (!gone) {
            desk.refuse(whole, gone.error().fault == Fault::not_found ? lemonade::not_loaded(*name)
                                                                      : gone.error());
            return;
        }
        desk.respond_json(whole, lemonade::success_body("Model unloaded successfully", *name));
    });
}

/// The state of what an install is about. **Errors:** invalid, naming what there is.
Result<lemonade::BackendState> backend_state(Desk& desk, lemonade::BackendAsk& ask) {
    const auto recipes = recipe_states(desk.service().view(), desk.machine(), desk.version());
    std::string known;
    for (const lemonade::RecipeState& recipe : recipes) {
        for (const lemonade::BackendState& one : recipe.backends) {
            known += fmt::format("{}{}:{}", known.empty() ? "" : ", ", recipe.name, one.name);
            const bool meant_one =
                ask.backend == one.name ||
                ((ask.backend.empty() || ask.backend == "default" || ask.backend == "auto") &&
                 recipe.preferred == one.name);
            if (recipe.name == ask.recipe && meant_one) {
                ask.backend = one.name;
                return one;
            }
        }
    }
    return fail(Fault::invalid, "recipe: '{}:{}' is nothing that Trilane runs; it knows {}",
                ask.recipe, ask.backend, known);
}

/// Engines are what the machine's owner installs; this says whether they are there.
void install(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call whole) {
        auto ask = lemonade::read_backend_ask(whole.request.body);
        auto state = ask ? backend_state(desk, *ask) : tl::unexpected(ask.error());
        if (!state) {
            desk.refuse(whole, state.error());
            return;
        }
        if (state->state != "installed") {
            desk.refuse(
                whole, 501,
                fmt::format("Trilane installs no engines: {}; {}", state->message, state->action));
            return;
        }
        if (!ask->stream) {
            desk.respond_json(whole, lemonade::backend_body(*ask, "it is installed"));
            return;
        }
        desk.respond_text(whole, std::string(dialect::kEventStreamType),
                          lemonade::complete_event({}));
    });
}

constexpr std::string_view kRefusedWord = "Refused: ";

/// Says what its row does.
void refuse_by_row(Desk& desk, Call call) {
    const std::string reason(call.endpoint->doc.summary.substr(kRefusedWord.size()));
    desk.refuse(call, 501, reason);
}

constexpr std::string_view kLemonadeTag = "Lemonade";

using Answering = void (*)(Desk& desk, Call call);

constexpr Endpoint row_of(std::string_view method, std::string_view path, Guard guard,
                          Answering answer, std::string_view summary, std::string_view request = "",
                          std::string_view response = "", std::string_view stream_type = "") {
    return {method, path,
            guard,  &lemonade::kErrorShape,
            answer, {kLemonadeTag, summary, request, response, stream_type}};
}

constexpr Endpoint refused(std::string_view method, std::string_view path,
                           std::string_view summary) {
    return row_of(method, path, Guard::key, refuse_by_row, summary);
}

constexpr std::string_view kNoParams =
    "Refused: settings of answers are sent with each request here, and those of the daemon stand "
    "in its configuration: see `trilane config`";
constexpr std::string_view kNoCloud =
    "Refused: a service elsewhere is a lane of kind remote in the configuration, with its key in a "
    "file";
constexpr std::string_view kNoJobs =
    "Refused: no sequences of requests are kept here; send them one after another";
constexpr std::string_view kNoOptions =
    "Refused: what a model is loaded with stands in the configuration; send ctx_size with POST "
    "/v1/load for once";
constexpr std::string_view kNoInternals =
    "Refused: the daemon is stopped and set by who runs it: SIGTERM or `systemctl stop trilane`, "
    "and its configuration";

constexpr std::array kLemonadeRows = std::to_array<Endpoint>({
    row_of("GET", "/v1/health", Guard::key, health, "What is in memory, as Lemonade says it", "",
           "LemonadeHealth"),
    row_of("GET", "/v1/stats", Guard::key, stats, "Figures of the last answer", "",
           "LemonadeStats"),
    row_of("GET", "/v1/system-info", Guard::key, system_info, "The machine, and what can run on it",
           "", "LemonadeSystemInfo"),
    row_of("GET", "/v1/system-stats", Guard::key, system_stats, "How busy the machine is", "",
           "LemonadeSystemStats"),
    row_of("GET", "/v1/slots", Guard::key, slots, "Requests that are worked on at once"),
    row_of("GET", "/v1/models/{id}/files", Guard::key, list_files, "The files of a model", "",
           "LemonadeFiles"),
    row_of("GET", "/v1/models/{id}/options", Guard::key, show_options,
           "What a model would be loaded with"),
    row_of("POST", "/v1/load", Guard::key, load, "Load a model", "LemonadeLoad", "LemonadeDone"),
    row_of("POST", "/v1/unload", Guard::key, unload, "Unload a model, or all", "LemonadeName",
           "LemonadeDone"),
    row_of("POST", "/v1/pull", Guard::admin, pull, "Download a model", "LemonadePull",
           "LemonadeDone", dialect::kEventStreamType),
    row_of("POST", "/v1/delete", Guard::admin, remove, "Delete a model", "LemonadeName",
           "LemonadeDone"),
    row_of("GET", "/v1/downloads", Guard::admin, list_downloads,
           "Downloads that go on by themselves"),
    row_of("POST", "/v1/downloads/control", Guard::admin, control_download,
           "Stop or forget a download"),
    row_of("POST", "/v1/install", Guard::admin, install,
           "Whether an engine is installed; Trilane installs none", "LemonadeBackend",
           "LemonadeDone"),
    refused("POST", "/v1/install/dry-run", "Refused: Trilane installs no engines"),
    refused("POST", "/v1/uninstall",
            "Refused: engines are removed by what installed them; leave the lane out of the "
            "configuration to do without one"),
    row_of("GET", "/v1/pull/variants", Guard::admin, list_variants,
           "What a hub's repository has to choose from"),
    refused("GET", "/v1/registry/search",
            "Refused: hubs are not searched from here; look there, and pull owner/name"),
    refused("POST", "/v1/models/register",
            "Refused: a model has no name before it is here; send its checkpoint with POST "
            "/v1/pull"),
    refused("POST", "/v1/models/check-updates",
            "Refused: hubs are not asked for later versions; pull the model again"),
    refused("POST", "/v1/models/{id}/options", kNoOptions),
    refused("DELETE", "/v1/models/{id}/options", kNoOptions),
    refused("GET", "/v1/params", kNoParams),
    refused("POST", "/v1/params", kNoParams),
    refused("POST", "/v1/params/set", kNoParams),
    refused("POST", "/v1/log-level",
            "Refused: the daemon logs at one level; `trilane logs LANE` shows what engines print"),
    refused("POST", "/v1/slots/{id}",
            "Refused: caches of prompts are kept and reused by the daemon itself"),
    refused("POST", "/v1/cloud/auth", kNoCloud),
    refused("DELETE", "/v1/cloud/auth/{id}", kNoCloud),
    refused("POST", "/v1/routing/validate", "Refused: requests are not routed by their text here"),
    refused("GET", "/v1/jobs", kNoJobs),
    refused("POST", "/v1/jobs", kNoJobs),
    refused("GET", "/v1/jobs/", kNoJobs),
    refused("POST", "/v1/jobs/", kNoJobs),
    refused("DELETE", "/v1/jobs/", kNoJobs),
    refused("POST", "/v1/classify",
            "Refused: no lane here classifies texts; ask a chat model with a JSON schema"),
    refused("POST", "/v1/audio/generations", "Refused: no lane here makes music or noises"),
    refused("POST", "/v1/3d/generations", "Refused: no lane here makes meshes"),
    refused("POST", "/v1/images/upscale", "Refused: no lane here enlarges pictures"),
    row_of("GET", "/internal/", Guard::admin, refuse_by_row, kNoInternals),
    row_of("POST", "/internal/", Guard::admin, refuse_by_row, kNoInternals),
    row_of("DELETE", "/internal/", Guard::admin, refuse_by_row, kNoInternals),
});

}  // namespace
}  // namespace lemonade_api

void list_models_as_lemonade(Desk& desk, Call& call) {
    auto models = lemonade_api::Shelf(desk).all();
    std::erase_if(models, [&](const dialect::lemonade::Offered& one) {
        return !call.visit.may_use_model(one.card.id);
    });
    desk.respond_json(call, dialect::lemonade::models_body(models));
}

void show_model_as_lemonade(Desk& desk, Call& call) {
    auto found = desk.model_for(call, call.tail);
    if (!found) {
        return;
    }
    const lemonade_api::Shelf shelf(desk);
    const bool further = desk.library() != nullptr && desk.library()->further_name(call.tail);
    const std::string name = further ? call.tail : found->id;
    desk.respond_json(call, dialect::lemonade::model_body(shelf.offered(*std::move(found), name)));
}

std::span<const Endpoint> lemonade_endpoints() {
    return lemonade_api::kLemonadeRows;
}

}  // namespace trilane::gateway
