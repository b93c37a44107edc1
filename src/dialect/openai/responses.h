// The responses endpoints: a conversation whose answers are kept, so that the next request names
// the last answer instead of repeating everything before it. Where they are kept is the gateway's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "job/chat.h"

namespace trilane::dialect::openai {

inline constexpr std::size_t kItemsMax = 4096;   ///< of one input
inline constexpr std::size_t kMetadataMax = 16;  ///< entries
inline constexpr std::size_t kListedMax = 100;   ///< input items in one page
inline constexpr std::size_t kListedUsual = 20;

/// An answer that is kept, and all that a request which follows it needs.
struct StoredResponse {
    std::string id;
    std::string body;                    ///< the response, JSON
    std::vector<std::string> items;      ///< of its input, JSON each, with ids
    std::vector<job::Message> messages;  ///< the conversation, answer included; no instructions

    /// What it takes to keep it.
    [[nodiscard]] std::size_t bytes() const;
};

/// Where answers are kept for a while.
/// **Threads:** any.
class ResponseStore {
public:
    ResponseStore() = default;
    virtual ~ResponseStore() = default;
    ResponseStore(const ResponseStore&) = delete;
    ResponseStore& operator=(const ResponseStore&) = delete;

    /// Null when it was never kept, removed, or had to make room.
    virtual std::shared_ptr<const StoredResponse> find(std::string_view id) = 0;
    virtual void keep(std::shared_ptr<const StoredResponse> response) = 0;
    /// Whether it was there.
    virtual bool remove(std::string_view id) = 0;
};

/// POST /v1/responses. The answer goes into the store when it is whole, unless the body says no.
/// **Errors:** invalid, whose message names the field.
Result<Asked> ask_response(std::string_view body, const Context& context,
                           const std::shared_ptr<ResponseStore>& store);

/// POST /v1/responses/input_tokens: how many tokens the same body's input is.
Result<Asked> ask_input_tokens(std::string_view body, const Context& context,
                               const std::shared_ptr<ResponseStore>& store);

/// GET /v1/responses/{id}/input_items, with the query of its URL ("limit=2&order=asc").
/// **Errors:** invalid.
Result<std::string> input_items_body(const StoredResponse& stored, std::string_view query);

/// DELETE /v1/responses/{id}
std::string deleted_response_body(std::string_view id);

/// What a request gets that names a response which is not kept.
Error no_such_response(std::string_view id);

}  // namespace trilane::dialect::openai
