// "context": a conversation as numbers, which clients keep and send back.
#include <array>

#include "base/utf8.h"
#include "dialect/ollama/ollama.h"
#include "dialect/ollama/reading.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

/// Begins every context from here; no vocabulary has such a token.
constexpr std::int32_t kMark = 0x7472696C;
constexpr std::size_t kBytesPerNumber = 3;

tl::unexpected<Error> foreign() {
    return fail(Fault::invalid,
                "context: holds other numbers than an answer from here; send it as it came, or "
                "leave it out and send the conversation to /api/chat");
}

}  // namespace

std::vector<std::int32_t> context_of(const std::vector<job::Message>& messages) {
    json::Value turns = json::Value::array();
    for (const job::Message& message : messages) {
        turns.push_back(json::Value::array({job::role_name(message.role), message.content}));
    }
    const std::string text = json::dump(turns);
    std::vector<std::int32_t> numbers{kMark, static_cast<std::int32_t>(text.size())};
    for (std::size_t i = 0; i < text.size(); i += kBytesPerNumber) {
        std::int32_t number = 0;
        for (std::size_t k = i; k < i + kBytesPerNumber; ++k) {
            number = number << 8 | (k < text.size() ? static_cast<unsigned char>(text[k]) : 0);
        }
        numbers.push_back(number);
    }
    return numbers;
}

Result<std::vector<job::Message>> read_context(const Fields& body) {
    std::vector<job::Message> messages;
    TRILANE_TRY(const json::Value* numbers, body.array("context", "numbers"));
    if (numbers == nullptr || numbers->empty()) {
        return messages;
    }
    if (numbers->size() < 2 || numbers->size() > kContextNumbersMax || (*numbers)[0] != kMark) {
        return foreign();
    }
    std::string text;
    for (std::size_t i = 2; i < numbers->size(); ++i) {
        const auto number = whole_number((*numbers)[i]);
        if (!number || *number < 0 || *number > 0xFFFFFF) {
            return foreign();
        }
        for (const unsigned shift : {16U, 8U, 0U}) {
            text += static_cast<char>(static_cast<std::uint64_t>(*number) >> shift & 0xFFU);
        }
    }
    const auto size = whole_number((*numbers)[1]);
    if (!size || *size < 0 || static_cast<std::size_t>(*size) > text.size()) {
        return foreign();
    }
    text.resize(static_cast<std::size_t>(*size));
    const auto turns = is_valid_utf8(text) ? json::parse(text) : foreign();
    if (!turns || !turns->is_array() || turns->size() > kMessagesMax) {
        return foreign();
    }
    for (const json::Value& turn : *turns) {
        if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string()) {
            return foreign();
        }
        job::Message& message = messages.emplace_back();
        message.content = turn[1].get<std::string>();
        for (const job::Role role : {job::Role::system, job::Role::user, job::Role::assistant}) {
            message.role = job::role_name(role) == turn[0] ? role : message.role;
        }
    }
    return messages;
}

}  // namespace trilane::dialect::ollama
