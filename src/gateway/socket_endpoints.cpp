// The rows of the endpoint table that are WebSockets. Lemonade's clients open them at the root,
// too.
#include <array>

#include "dialect/openai/openai.h"
#include "gateway/endpoint.h"
#include "gateway/logs_stream.h"
#include "gateway/realtime.h"

namespace trilane::gateway {
namespace {

constexpr Endpoint realtime_at(std::string_view path) {
    return {"GET",         path,
            Guard::key,    &dialect::openai::kErrorShape,
            open_realtime, {"OpenAI", "Speech as text while it is spoken (WebSocket)", "", "", ""},
            true};
}

constexpr Endpoint logs_at(std::string_view path) {
    return {"GET",
            path,
            Guard::admin,
            &dialect::openai::kErrorShape,
            open_logs_stream,
            {"Lemonade", "What the daemon and its lanes log (WebSocket)", "", "", ""},
            true};
}

constexpr std::array kSocketRows = std::to_array<Endpoint>({
    realtime_at("/v1/realtime"),
    realtime_at("/realtime"),
    logs_at("/logs/stream"),
    logs_at("/v1/logs/stream"),
});

}  // namespace

std::span<const Endpoint> socket_endpoints() {
    return kSocketRows;
}

}  // namespace trilane::gateway
