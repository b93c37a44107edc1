// DaemonClient: how verbs talk to a running daemon.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "app/options.h"
#include "base/result.h"
#include "json/fwd.h"

namespace trilane::net {
class Client;
class Loops;
}  // namespace trilane::net

namespace trilane::app {

class DaemonClient {
public:
    /// **Errors:** invalid: the address cannot be read; a file of the key that cannot be.
    static Result<std::unique_ptr<DaemonClient>> open(const Connection& connection);
    ~DaemonClient();
    DaemonClient(const DaemonClient&) = delete;
    DaemonClient& operator=(const DaemonClient&) = delete;

    /// The JSON that the daemon answers. **Errors:** what it says is wrong; unavailable: nobody
    /// answers there (says how to start one).
    Result<json::Value> get(std::string_view target);
    Result<json::Value> post(std::string_view target, const json::Value& body);

private:
    DaemonClient(std::unique_ptr<net::Loops> loops, std::unique_ptr<net::Client> client,
                 Connection connection);
    Result<json::Value> ask(std::string method, std::string_view target, std::string body);

    std::unique_ptr<net::Loops> loops_;
    std::unique_ptr<net::Client> client_;
    Connection connection_;
};

}  // namespace trilane::app
