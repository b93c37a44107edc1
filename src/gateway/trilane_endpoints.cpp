// Trilane's own rows of the endpoint table: life signs, and administration. What needs the
// gateway's inside (metrics, the list of endpoints) is there.
#include <array>
#include <iterator>
#include <memory>
#include <utility>

#include "dialect/openai/openai.h"
#include "gateway/admin.h"
#include "gateway/desk.h"
#include "gateway/openapi.h"
#include "json/json.h"

namespace trilane::gateway {
namespace {

constexpr std::string_view kTrilaneTag = "Trilane";

void live(Desk& desk, Call call) {
    desk.respond_json(call, R"({"status":"ok"})");
}

void health(Desk& desk, Call call) {
    std::string out = fmt::format(R"({{"status":"ok","version":{},"lanes":[)",
                                  json::dump(json::Value(desk.version())));
    bool first = true;
    for (const plane::LaneView& lane : desk.service().view().lanes) {
        fmt::format_to(std::back_inserter(out),
                       R"({}{{"name":{},"slots":{},"slots_busy":{},"queued":{},"queued_max":{},)"
                       R"("models":{{)",
                       first ? "" : ",", json::dump(json::Value(lane.name)), lane.slots,
                       lane.slots_busy, lane.queued, lane.queued_max);
        first = false;
        for (const plane::Residency& one : lane.residents) {
            fmt::format_to(std::back_inserter(out), R"({}{}:"{}")",
                           &one == lane.residents.data() ? "" : ",",
                           json::dump(json::Value(one.model)), lane::state_name(one.state));
        }
        out += "}}";
    }
    out += "]}";
    desk.respond_json(call, std::move(out));
}

void metrics(Desk& desk, Call call) {
    desk.respond_text(call, "text/plain; version=0.0.4; charset=utf-8", desk.metrics_text());
}

void root(Desk& desk, Call call) {
    std::string out =
        fmt::format("Trilane {}: local inference behind one port.\n\n", desk.version());
    for (const Endpoint& row : desk.endpoints().rows()) {
        if (row.path != "/") {
            fmt::format_to(std::back_inserter(out), "{:<6} {:<30} {}\n", row.method,
                           fmt::format("{}{}", row.path, row.path.ends_with('/') ? "{id}" : ""),
                           row.doc.summary);
        }
    }
    desk.respond_text(call, "text/plain; charset=utf-8", std::move(out));
}

void openapi(Desk& desk, Call call) {
    desk.respond_json(call, openapi_document(desk.endpoints().rows(), desk.version()));
}

void administrate(Desk& desk, Call call) {
    const auto shared = std::make_shared<Call>(std::move(call));
    answer_admin(
        desk.service(), desk.library(), shared->request,
        [&desk, shared](net::Response response) { desk.respond(*shared, std::move(response)); });
}

constexpr std::array kTrilaneRows = std::to_array<Endpoint>({
    {"GET",
     "/",
     Guard::open,
     &dialect::openai::kErrorShape,
     root,
     {kTrilaneTag, "This list", "", "", ""}},
    {"GET",
     "/openapi.json",
     Guard::open,
     &dialect::openai::kErrorShape,
     openapi,
     {kTrilaneTag, "This list for programs (OpenAPI 3.1)", "", "", ""}},
    {"GET",
     "/live",
     Guard::open,
     &dialect::openai::kErrorShape,
     live,
     {kTrilaneTag, "Whether the daemon answers", "", "", ""}},
    {"GET",
     "/health",
     Guard::open,
     &dialect::openai::kErrorShape,
     health,
     {kTrilaneTag, "Lanes and the states of their models", "", "", ""}},
    {"GET",
     "/metrics",
     Guard::key,
     &dialect::openai::kErrorShape,
     metrics,
     {kTrilaneTag, "Prometheus metrics", "", "", ""}},
    {"GET",
     "/trilane/v1/state",
     Guard::admin,
     &dialect::openai::kErrorShape,
     administrate,
     {kTrilaneTag, "Lanes, residents and memory", "", "", ""}},
    {"GET",
     "/trilane/v1/logs",
     Guard::admin,
     &dialect::openai::kErrorShape,
     administrate,
     {kTrilaneTag, "What a lane's servers print", "", "", ""}},
    {"POST",
     "/trilane/v1/load",
     Guard::admin,
     &dialect::openai::kErrorShape,
     administrate,
     {kTrilaneTag, "Load a model", "", "", ""}},
    {"POST",
     "/trilane/v1/unload",
     Guard::admin,
     &dialect::openai::kErrorShape,
     administrate,
     {kTrilaneTag, "Unload a model", "", "", ""}},
});

}  // namespace

std::span<const Endpoint> trilane_endpoints() {
    return kTrilaneRows;
}

}  // namespace trilane::gateway
