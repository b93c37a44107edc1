#include "gateway/admin.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "dialect/openai/openai.h"
#include "gateway/http_error.h"
#include "gateway/query.h"
#include "json/json.h"

namespace trilane::gateway {
namespace {

constexpr std::uint32_t kContextTokensMax = 1U << 22U;

/// The value of a name in the target's query; not percent-decoded: names of lanes need none.
std::string_view query_value(std::string_view target, std::string_view name) {
    const std::size_t question = target.find('?');
    std::string_view rest =
        question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
            return pair.substr(name.size() + 1);
        }
        rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    }
    return {};
}

std::uint64_t number_or(std::string_view text, std::uint64_t otherwise) {
    std::uint64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc() && end == text.data() + text.size() && !text.empty() ? value
                                                                                  : otherwise;
}

net::Response json_response(const json::Value& value) {
    net::Response response;
    response.body = json::dump(value);
    return response;
}

/// What the plan was corrected by; null = by nothing.
json::Value correction_json(const plane::Residency& one) {
    if (!one.correction) {
        return {};
    }
    return {{"bytes", static_cast<std::int64_t>(one.planned_bytes - one.predicted_bytes)},
            {"observed_bytes", one.correction->observed_bytes},
            {"predicted_bytes", one.correction->predicted_bytes},
            {"context_tokens", one.correction->context_tokens},
            {"unix_s", one.correction->unix_s}};
}

json::Value residency_json(const plane::Residency& one) {
    json::Value out = json::Value::object();
    out["model"] = one.model;
    out["state"] = lane::state_name(one.state);
    out["since_unix_ms"] = one.since_unix_ms;
    out["pinned"] = one.pinned;
    out["context_tokens"] = one.context_tokens;
    out["planned_bytes"] = one.planned_bytes;
    out["predicted_bytes"] = one.predicted_bytes;
    out["correction"] = correction_json(one);
    out["observed_bytes"] = one.load.observed.bytes();
    out["observed_vram_bytes"] = one.load.observed.vram_bytes;
    out["observed_file_bytes"] = one.load.observed.file_bytes;
    out["load_ms"] = one.load_ms;
    out["slots"] = one.load.slots;
    out["slots_busy"] = one.load.slots_busy;
    out["waiting"] = one.waiting;
    out["failures"] = one.failures;
    out["error"] = one.error.empty() ? json::Value() : json::Value(one.error);
    return out;
}

json::Value pulls_json(const catalog::Library& library) {
    json::Value pulls = json::Value::array();
    for (const auto& [reference, news] : library.pulls()) {
        pulls.push_back({{"reference", reference},
                         {"phase", news.phase},
                         {"model", news.model},
                         {"file", news.file},
                         {"total_bytes", news.total_bytes},
                         {"done_bytes", news.done_bytes},
                         {"bytes_per_s", news.bytes_per_s}});
    }
    return pulls;
}

/// Who asks for a name's sake is told which of the models it means.
net::Response state(const plane::Service& service, const catalog::Library* library,
                    const net::Request& request) {
    const plane::View view = service.view();
    json::Value lanes = json::Value::array();
    for (const plane::LaneView& lane : view.lanes) {
        json::Value out = json::Value::object();
        out["name"] = lane.name;
        out["kind"] = lane.kind;
        out["silicon"] = lane.silicon;
        out["slots"] = lane.slots;
        out["slots_busy"] = lane.slots_busy;
        out["queued"] = lane.queued;
        out["queued_max"] = lane.queued_max;
        out["requests_total"] = lane.requests_total;
        out["predicted_tokens_total"] = lane.predicted_tokens_total;
        out["loads_total"] = lane.loads_total;
        out["load_failures_total"] = lane.load_failures_total;
        out["evictions_total"] = lane.evictions_total;
        out["lost_total"] = lane.lost_total;
        out["models"] = json::Value::array();
        for (const plane::Residency& one : lane.residents) {
            out["models"].push_back(residency_json(one));
        }
        lanes.push_back(std::move(out));
    }
    json::Value pools = json::Value::array();
    for (const plane::PoolView& pool : view.pools) {
        pools.push_back({{"name", pool.name},
                         {"total_bytes", pool.total_bytes},
                         {"reserve_bytes", pool.reserve_bytes},
                         {"foreign_bytes", pool.foreign_bytes},
                         {"planned_bytes", pool.planned_bytes}});
    }
    json::Value out{{"lanes", std::move(lanes)},
                    {"pools", std::move(pools)},
                    {"pulls", library != nullptr ? pulls_json(*library) : json::Value::array()}};
    if (const std::string name = query_text(request.target, "model"); !name.empty()) {
        const auto card = service.find(name);
        out["model"] = card ? json::Value(card->id) : json::Value();
    }
    return json_response(out);
}

net::Response logs(const plane::Service& service, const net::Request& request) {
    const std::string lane(query_value(request.target, "lane"));
    const auto ring = service.log_of(lane);
    if (!ring) {
        return fault_response(dialect::openai::kErrorShape, ring.error());
    }
    const std::uint64_t after = number_or(query_value(request.target, "after"), 0);
    const std::uint64_t lines = number_or(query_value(request.target, "lines"), kLogLinesMax);
    json::Value out = json::Value::array();
    for (const os::LogLine& line :
         (*ring)->lines(after, std::min<std::uint64_t>(lines, kLogLinesMax))) {
        out.push_back({{"number", line.number},
                       {"unix_ms", line.unix_ms},
                       {"stream", line.error_stream ? "stderr" : "stdout"},
                       {"process", line.process},
                       {"text", line.text}});
    }
    return json_response({{"lane", lane}, {"lines", std::move(out)}});
}

/// The fields of a POST to load or unload.
Result<plane::Service::LoadAsk> read_ask(std::string_view body) {
    TRILANE_TRY(const json::Value value, json::parse(body));
    plane::Service::LoadAsk ask;
    if (!value.is_object() || !value.contains("model") || !value["model"].is_string()) {
        return fail(Fault::invalid, "model: missing; send {{\"model\": \"ID\"}}");
    }
    ask.model = value["model"].get<std::string>();
    if (value.contains("lane") && value["lane"].is_string()) {
        ask.lane = value["lane"].get<std::string>();
    }
    if (value.contains("pin") && value["pin"].is_boolean()) {
        ask.pin = value["pin"].get<bool>();
    }
    if (value.contains("context_tokens") && !value["context_tokens"].is_null()) {
        const json::Value& tokens = value["context_tokens"];
        if (!tokens.is_number_unsigned() || tokens.get<std::uint64_t>() > kContextTokensMax) {
            return fail(Fault::invalid, "context_tokens: got {}; send a number of at most {}",
                        json::dump(tokens), kContextTokensMax);
        }
        ask.context_tokens = tokens.get<std::uint32_t>();
    }
    return ask;
}

/// What a load has brought, as it stands where it was asked for; else on the first lane that has
/// it.
net::Response load_response(const plane::Service& service, const plane::Service::LoadAsk& ask) {
    const auto card = service.find(ask.model);
    const std::string id = card ? card->id : ask.model;
    json::Value out{{"status", "ready"}, {"model", id}};
    const std::string lane = ask.lane.empty() ? ask.model.substr(0, ask.model.find('/')) : ask.lane;
    const plane::View view = service.view();
    const plane::Residency* found = nullptr;
    for (const plane::LaneView& one : view.lanes) {
        const auto at = std::ranges::find_if(one.residents, [&](const plane::Residency& resident) {
            return resident.model == id && lane::takes_requests(resident.state);
        });
        if (at != one.residents.end() && (found == nullptr || one.name == lane)) {
            found = &*at;
            out["lane"] = one.name;
        }
    }
    if (found == nullptr) {
        return json_response(out);  // it has gone again already
    }
    out["pinned"] = found->pinned;
    out["context_tokens"] = found->context_tokens;
    out["planned_bytes"] = found->planned_bytes;
    out["load_ms"] = found->load_ms;
    if (found->context_tokens != 0 && ask.context_tokens.value_or(0) > found->context_tokens) {
        out["note"] = fmt::format(
            "context cut to {} tokens: the model was made, or is configured, for no more",
            found->context_tokens);
    }
    return json_response(out);
}

}  // namespace

void answer_admin(plane::Service& service, const catalog::Library* library,
                  const net::Request& request, std::function<void(net::Response)> respond) {
    const std::string_view path = request.path();
    if (path == "/trilane/v1/state") {
        respond(state(service, library, request));
        return;
    }
    if (path == "/trilane/v1/logs") {
        respond(logs(service, request));
        return;
    }
    auto ask = read_ask(request.body);
    if (!ask) {
        respond(fault_response(dialect::openai::kErrorShape, ask.error()));
        return;
    }
    if (path == "/trilane/v1/unload") {
        const Status status = service.unload(ask->model);
        respond(status ? json_response({{"status", "unloading"}, {"model", ask->model}})
                       : fault_response(dialect::openai::kErrorShape, status.error()));
        return;
    }
    service.load(*ask, [&service, ask = *ask, respond = std::move(respond)](const Status& status) {
        respond(status ? load_response(service, ask)
                       : fault_response(dialect::openai::kErrorShape, status.error()));
    });
}

}  // namespace trilane::gateway
