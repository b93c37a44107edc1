// Endpoint: a row of the gateway's table: method and path, who may ask, how its API words errors,
// what answers it, and what the API document says of it. Each API's rows are in a file of their
// own.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/door.h"
#include "dialect/dialect.h"
#include "net/http.h"
#include "net/server.h"

namespace trilane::gateway {

class Desk;
struct Endpoint;

/// One request on its way through the gateway.
struct Call {
    net::Request request;
    std::shared_ptr<net::Exchange> exchange;
    std::size_t row = 0;                 ///< of the table, for counting
    const Endpoint* endpoint = nullptr;  ///< null = there is nothing at that path
    std::vector<net::Header> headers;    ///< of the answer
    /// What follows the endpoint's path where that ends with '/', or stands for its "{id}";
    /// percent-decoded.
    std::string tail;
    access::Visit visit;     ///< who asks, and what that allows
    std::string request_id;  ///< "" = life signs, which have none
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
};

/// Who may ask.
enum class Guard {
    open,   ///< anybody who reaches the port
    key,    ///< who has a key, where keys are asked for; no pages of foreign sites
    admin,  ///< the same; changes what the daemon has or does, or shows what others do
};

/// What the API document says. Schemas are names of openapi.cpp's components; "" = free-form.
struct EndpointDoc {
    std::string_view tag;  ///< "OpenAI", "Anthropic", "Ollama", "Lemonade", "Trilane"
    std::string_view summary;
    std::string_view request_schema;
    std::string_view response_schema;
    std::string_view
        stream_type;  ///< what it streams as, when asked to: a content type; "" = never
};

struct Endpoint {
    std::string_view method;
    /// One that ends with '/' (but "/") serves what is below it; "{id}" stands for one segment.
    std::string_view path;
    Guard guard = Guard::key;
    const dialect::ErrorShape* errors = nullptr;
    /// Answers at once or later; on a thread of the server, which must not be kept waiting.
    void (*answer)(Desk& desk, Call call) = nullptr;
    EndpointDoc doc;
    bool web_socket = false;  ///< becomes one; its key may come as such clients can send it
};

/// The rows of each API.
std::span<const Endpoint> openai_endpoints();
std::span<const Endpoint> anthropic_endpoints();
std::span<const Endpoint> ollama_endpoints();
std::span<const Endpoint> trilane_endpoints();  ///< health, metrics, administration
std::span<const Endpoint> socket_endpoints();   ///< WebSockets of all of them

/// All rows, and the way from a request to its row.
class EndpointTable {
public:
    EndpointTable();

    [[nodiscard]] std::span<const Endpoint> rows() const { return rows_; }

    struct Found {
        const Endpoint* endpoint = nullptr;  ///< null: `allow` says why
        std::size_t row = 0;
        std::string_view tail;  ///< of the path, as sent
        std::string allow;      ///< methods there are at that path; "" = there is no such path
    };
    /// HEAD finds GET. OPTIONS finds the first row of the path.
    [[nodiscard]] Found find(std::string_view method, std::string_view path) const;
    /// How errors are worded at a path, also where there is nothing.
    [[nodiscard]] const dialect::ErrorShape& errors_at(std::string_view path) const;

private:
    std::vector<Endpoint> rows_;
};

}  // namespace trilane::gateway
