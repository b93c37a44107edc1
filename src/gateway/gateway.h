// Gateway: the endpoints of the daemon over an HTTP server. Wires net, dialect and lanes; holds no
// policy, no models and no configuration of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/library.h"
#include "gateway/access.h"
#include "gateway/generation.h"
#include "gateway/record.h"
#include "net/http.h"
#include "plane/service.h"
#include "probe/machine.h"

namespace trilane::gateway {

/// Of a request's body: sounds and pictures are long.
inline constexpr std::size_t kBodyBytesMax = 64U << 20U;

/// What net grants, with room for such bodies.
net::Limits gateway_limits();

struct GatewayOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 13305;  ///< 0 = any free one
    unsigned threads = 2;
    net::Loops* loops = nullptr;  ///< to run on; null = threads of its own
    net::Limits limits = gateway_limits();
    net::ServerTls tls;
    AccessRules access;
    Recorder recorder;    ///< may be empty
    std::string version;  ///< as /health shows it
    std::chrono::milliseconds heartbeat_interval = kHeartbeatInterval;
    /// The facts of this machine as they are now, for who asks about it; may be empty. Called on
    /// the server's threads, several at once; takes milliseconds at most.
    std::function<probe::Machine()> machine;
    std::string models_directory;               ///< where pulled models are kept; "" = nowhere
    std::shared_ptr<os::LogRing> log;           ///< what the daemon itself prints; null = nothing
    std::shared_ptr<catalog::Library> library;  ///< null = models cannot be pulled or deleted
};

class Gateway {
public:
    /// Listens and serves what the plane has. The plane is the caller's to stop: before stop(), so
    /// that running answers end, or after it.
    /// **Errors:** as net::Server::start.
    static Result<std::unique_ptr<Gateway>> start(GatewayOptions options,
                                                  std::shared_ptr<plane::Service> service);
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    [[nodiscard]] std::uint16_t port() const;

    /// Accepts no more, lets running answers end for at most `patience`, then breaks off (which
    /// cancels their jobs) and joins the server's threads.
    void stop(std::chrono::milliseconds patience);

private:
    class Front;
    explicit Gateway(std::unique_ptr<Front> front);
    std::unique_ptr<Front> front_;
};

}  // namespace trilane::gateway
