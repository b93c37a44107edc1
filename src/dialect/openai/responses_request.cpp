#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "dialect/body.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/format.h"
#include "dialect/openai/messages.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/responses.h"
#include "dialect/openai/responses_answer.h"
#include "dialect/openai/responses_input.h"
#include "dialect/openai/sampling.h"
#include "dialect/openai/tools.h"
#include "dialect/whole_answer.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::string_view kLogprobsIncluded = "message.output_text.logprobs";
constexpr std::size_t kMetadataBytesMax = 512;  // of one value

/// What this endpoint reads itself.
constexpr std::array kResponsesFields = std::to_array<std::string_view>({"background",
                                                                         "chat_template_kwargs",
                                                                         "conversation",
                                                                         "enable_thinking",
                                                                         "frequency_penalty",
                                                                         "grammar",
                                                                         "guided_choice",
                                                                         "guided_grammar",
                                                                         "guided_json",
                                                                         "guided_regex",
                                                                         "include",
                                                                         "input",
                                                                         "instructions",
                                                                         "json_schema",
                                                                         "logit_bias",
                                                                         "max_output_tokens",
                                                                         "max_tool_calls",
                                                                         "metadata",
                                                                         "min_p",
                                                                         "model",
                                                                         "parallel_tool_calls",
                                                                         "presence_penalty",
                                                                         "previous_response_id",
                                                                         "prompt",
                                                                         "prompt_cache_key",
                                                                         "reasoning",
                                                                         "repeat_penalty",
                                                                         "repetition_penalty",
                                                                         "response_format",
                                                                         "safety_identifier",
                                                                         "seed",
                                                                         "service_tier",
                                                                         "stop",
                                                                         "store",
                                                                         "stream",
                                                                         "stream_options",
                                                                         "structured_outputs",
                                                                         "temperature",
                                                                         "text",
                                                                         "tool_choice",
                                                                         "tools",
                                                                         "top_k",
                                                                         "top_logprobs",
                                                                         "top_p",
                                                                         "truncation",
                                                                         "user"});

/// A request, read: what the lane is asked, and what the answer repeats of it.
struct Read {
    job::Request request;
    job::Chat chat;
    SpacedNames spaced_names;
    Input input;
    std::vector<job::Message> before;  ///< of the response that it follows
    bool store = true;
    bool stream = false;
    bool as_summary = false;
};

/// What OpenAI keeps or does elsewhere, and nobody does here.
Status refuse_foreign(const Fields& body) {
    TRILANE_TRY(const auto background, body.boolean("background"));
    if (background.value_or(false)) {
        return fail(Fault::invalid,
                    "background: got true; send the request with stream instead, and keep the "
                    "connection");
    }
    for (const auto& [name, instead] :
         {std::pair("conversation", "previous_response_id"), std::pair("prompt", "instructions")}) {
        if (const json::Value* value = body.find(name)) {
            return refuse(name, *value, fmt::format("{} instead", instead));
        }
    }
    return {};
}

/// The instructions go first, and in one message with the system's own words: many templates know
/// one, at the beginning.
void put_instructions(const std::string& instructions, job::Chat& chat) {
    if (instructions.empty()) {
        return;
    }
    if (!chat.messages.empty() && chat.messages.front().role == job::Role::system &&
        chat.messages.front().media.empty()) {
        job::Message& first = chat.messages.front();
        first.content = instructions + "\n\n" + first.content;
        return;
    }
    job::Message message;
    message.role = job::Role::system;
    message.content = instructions;
    chat.messages.insert(chat.messages.begin(), std::move(message));
}

Status read_conversation(const Fields& body, std::string_view suffix, ResponseStore& store,
                         Read& into) {
    TRILANE_TRY(const auto previous, body.text("previous_response_id"));
    if (previous) {
        const auto found = store.find(*previous);
        if (found == nullptr) {
            return refuse("previous_response_id", json::Value(*previous),
                          "one that is still kept here, or the whole conversation as input");
        }
        into.before = found->messages;
    }
    TRILANE_TRY(into.input, read_input(body.find("input"), suffix, into.spaced_names, store));
    into.chat.messages = into.before;
    into.chat.messages.insert(into.chat.messages.end(), into.input.messages.begin(),
                              into.input.messages.end());
    TRILANE_TRY(const auto instructions, body.text("instructions"));
    put_instructions(instructions.value_or(""), into.chat);
    if (into.chat.messages.empty()) {
        return fail(Fault::invalid, "input: missing; send a string or an array of items");
    }
    if (into.chat.messages.size() > kMessagesMax) {
        return fail(Fault::invalid, "input: the conversation has {} messages; send at most {}",
                    into.chat.messages.size(), kMessagesMax);
    }
    return {};
}

Status read_thinking(const Fields& body, Read& into) {
    TRILANE_TRY(const json::Value* reasoning, body.object("reasoning"));
    if (reasoning != nullptr) {
        const Fields fields(*reasoning, "reasoning");
        TRILANE_TRY_STATUS(read_effort(fields, "effort", into.chat));
        for (const std::string_view name : {"summary", "generate_summary"}) {
            TRILANE_TRY(const auto summary, fields.word(name, {"auto", "concise", "detailed"}));
            into.as_summary = into.as_summary || summary.has_value();
        }
    }
    return read_template_variables(body, into.chat);
}

Status read_shape(const Fields& body, job::Request& request) {
    TRILANE_TRY(request.format, read_format(body));
    TRILANE_TRY(const json::Value* text, body.object("text"));
    const json::Value* format = text == nullptr ? nullptr : Fields(*text, "text").find("format");
    if (format == nullptr) {
        return {};
    }
    TRILANE_TRY(job::Format wish, read_response_format(*format, "text.format"));
    if (wish.kind == job::Format::Kind::text) {
        return {};
    }
    if (request.format.kind != job::Format::Kind::text) {
        return fail(Fault::invalid,
                    "text.format: the answer has a shape already from another field; send only "
                    "one");
    }
    request.format = std::move(wish);
    return {};
}

Status read_logprobs(const Fields& body, job::Request& request) {
    TRILANE_TRY(const auto top, body.integer("top_logprobs", 0, kChatTopLogprobsMax));
    TRILANE_TRY(const json::Value* include, body.array("include", "strings"));
    const bool included =
        include != nullptr && std::ranges::find(*include, kLogprobsIncluded) != include->end();
    if (included || top.value_or(0) > 0) {
        request.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
    }
    return {};
}

Status check_metadata(const Fields& body) {
    TRILANE_TRY(const json::Value* metadata, body.object("metadata"));
    if (metadata == nullptr) {
        return {};
    }
    if (metadata->size() > kMetadataMax) {
        return fail(Fault::invalid, "metadata: got {} entries; send at most {}", metadata->size(),
                    kMetadataMax);
    }
    for (const auto& [name, value] : metadata->items()) {
        if (!value.is_string() || value.get_ref<const std::string&>().size() > kMetadataBytesMax) {
            return refuse(fmt::format("metadata.{}", name), value,
                          fmt::format("a string of at most {} bytes", kMetadataBytesMax));
        }
    }
    return {};
}

Result<Read> read(const json::Value& value, const Context& context, ResponseStore& store) {
    const Fields body(value, "");
    Read into;
    TRILANE_TRY(into.request, read_common(body, ModelField::required, "resp_", context));
    TRILANE_TRY_STATUS(refuse_foreign(body));
    // The tools first: calls of the conversation go by the names that the model knows them by.
    TRILANE_TRY(into.spaced_names, read_tools(body, ToolShape::flat, into.chat));
    TRILANE_TRY_STATUS(read_conversation(body, context.response_id_suffix, store, into));
    TRILANE_TRY_STATUS(read_thinking(body, into));
    TRILANE_TRY_STATUS(read_sampling(body, into.request.sampling));
    TRILANE_TRY_STATUS(read_stop(body, into.request));
    TRILANE_TRY_STATUS(read_shape(body, into.request));
    TRILANE_TRY_STATUS(read_logprobs(body, into.request));
    TRILANE_TRY_STATUS(check_metadata(body));
    TRILANE_TRY_STATUS(body.word("truncation", {"auto", "disabled"}));
    TRILANE_TRY(const auto tokens,
                body.integer("max_output_tokens", 1, std::numeric_limits<std::uint32_t>::max()));
    if (tokens) {
        into.request.max_tokens = static_cast<std::uint32_t>(*tokens);
    }
    TRILANE_TRY(const auto kept, body.boolean("store"));
    into.store = kept.value_or(true);
    TRILANE_TRY(const auto stream, body.boolean("stream"));
    into.stream = stream.value_or(false);
    TRILANE_TRY_STATUS(read_extra(value, kResponsesFields, into.request));
    return into;
}

/// A field as it was sent, or what goes without saying.
json::Value sent(const json::Value& body, const char* name, json::Value usual = nullptr) {
    const auto found = body.find(name);
    return found == body.end() || found->is_null() ? std::move(usual) : *found;
}

json::Value sent_tools(const json::Value& body) {
    json::Value tools = sent(body, "tools", json::Value::array());
    for (json::Value& tool : tools) {
        if (tool["type"] != "function") {
            continue;
        }
        for (const char* name : {"parameters", "strict"}) {
            if (!tool.contains(name)) {
                tool[name] = nullptr;
            }
        }
    }
    return tools;
}

/// What the answer repeats of the request, as JSON less its braces.
std::string fields_of(const json::Value& body, const Read& read, const Context& context) {
    json::Value text = {{"format", {{"type", "text"}}}, {"verbosity", "medium"}};
    text.update(sent(body, "text", json::Value::object()));
    json::Value reasoning = {{"effort", nullptr}, {"summary", nullptr}};
    reasoning.update(sent(body, "reasoning", json::Value::object()));
    json::Value fields = {
        {"created_at", context.now_unix_s},
        {"background", false},
        {"instructions", sent(body, "instructions")},
        {"max_output_tokens", sent(body, "max_output_tokens")},
        {"max_tool_calls", sent(body, "max_tool_calls")},
        {"metadata", sent(body, "metadata", json::Value::object())},
        {"parallel_tool_calls", read.chat.parallel_tool_calls},
        {"previous_response_id", sent(body, "previous_response_id")},
        {"prompt_cache_key", sent(body, "prompt_cache_key")},
        {"reasoning", std::move(reasoning)},
        {"safety_identifier", sent(body, "safety_identifier")},
        {"service_tier", "default"},
        {"store", read.store},
        {"temperature", sent(body, "temperature", 1.0)},
        {"text", std::move(text)},
        {"tool_choice", sent(body, "tool_choice", "auto")},
        {"tools", sent_tools(body)},
        {"top_logprobs", sent(body, "top_logprobs", 0)},
        {"top_p", sent(body, "top_p", 1.0)},
        {"truncation", "disabled"},  // nothing is ever cut out of a conversation here
    };
    if (json::Value user = sent(body, "user"); !user.is_null()) {
        fields["user"] = std::move(user);  // the published schema knows no null here
    }
    const std::string object = json::dump(fields);
    return object.substr(1, object.size() - 2);
}

std::shared_ptr<StoredResponse> to_keep(Read& read) {
    auto kept = std::make_shared<StoredResponse>();
    kept->id = read.request.id;
    kept->items = std::move(read.input.items);
    kept->messages = std::move(read.before);
    std::ranges::move(read.input.messages, std::back_inserter(kept->messages));
    return kept;
}

class InputTokensAnswer final : public WholeAnswer {
public:
    using WholeAnswer::WholeAnswer;
    [[nodiscard]] std::string body() const override {
        return fmt::format(R"({{"object":"response.input_tokens","input_tokens":{}}})",
                           usage().prompt_tokens);
    }

protected:
    Status take(const job::Event& /*event*/) override { return {}; }
};

std::size_t bytes_of(const job::Message& message) {
    std::size_t bytes = sizeof(message) + message.content.size() + message.reasoning.size() +
                        message.tool_call_id.size();
    for (const job::ToolCall& call : message.tool_calls) {
        bytes += sizeof(call) + call.id.size() + call.name.size() + call.arguments.size();
    }
    for (const job::Media& media : message.media) {
        bytes += sizeof(media) + media.type.size() + media.bytes.size() + media.url.size();
    }
    return bytes;
}

/// The value of a parameter in the query of a URL; "" when it is not there.
std::string_view parameter(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (pair.starts_with(name) && pair.substr(name.size()).starts_with('=')) {
            return pair.substr(name.size() + 1);
        }
    }
    return {};
}

std::string quoted_id(const std::vector<json::Value>& items, bool last) {
    return items.empty() ? "null" : json::dump((last ? items.back() : items.front())["id"]);
}

}  // namespace

std::size_t StoredResponse::bytes() const {
    std::size_t bytes = sizeof(*this) + id.size() + body.size();
    for (const std::string& item : items) {
        bytes += sizeof(item) + item.size();
    }
    for (const job::Message& message : messages) {
        bytes += bytes_of(message);
    }
    return bytes;
}

Result<Asked> ask_response(std::string_view body, const Context& context,
                           const std::shared_ptr<ResponseStore>& store) {
    TRILANE_TRY(const json::Value value, read_object(body));
    TRILANE_TRY(Read read, read(value, context, *store));
    ResponseFrame frame;
    frame.id = read.request.id;
    frame.suffix = context.response_id_suffix;
    frame.model = read.request.model;
    frame.fields = fields_of(value, read, context);
    frame.stream = read.stream;
    frame.with_logprobs = read.request.top_logprobs.has_value();
    frame.as_summary = read.as_summary;
    frame.spaced_names = std::move(read.spaced_names);
    frame.store = store;
    if (read.store) {
        frame.kept = to_keep(read);
    }
    Asked asked;
    asked.model = read.request.model;
    asked.stream = read.stream;
    asked.writer = std::make_unique<ResponseWriter>(std::move(frame));
    read.request.ask = std::move(read.chat);
    asked.jobs.push_back(std::move(read.request));
    return asked;
}

Result<Asked> ask_input_tokens(std::string_view body, const Context& context,
                               const std::shared_ptr<ResponseStore>& store) {
    TRILANE_TRY(const json::Value value, read_object(body));
    TRILANE_TRY(Read read, read(value, context, *store));
    Asked asked;
    asked.model = read.request.model;
    asked.writer = std::make_unique<InputTokensAnswer>(read.request.model);
    read.request.ask = job::CountTokens{std::move(read.chat)};
    asked.jobs.push_back(std::move(read.request));
    return asked;
}

Result<std::string> input_items_body(const StoredResponse& stored, std::string_view query) {
    const std::string_view limit = parameter(query, "limit");
    const std::string_view order = parameter(query, "order");
    const std::string_view after = parameter(query, "after");
    std::size_t most = kListedUsual;
    const auto number = std::from_chars(limit.data(), limit.data() + limit.size(), most);
    if (!limit.empty() && (number.ec != std::errc() || number.ptr != limit.data() + limit.size() ||
                           most == 0 || most > kListedMax)) {
        return refuse("limit", json::Value(limit),
                      fmt::format("a number from 1 to {}", kListedMax));
    }
    if (!order.empty() && order != "asc" && order != "desc") {
        return refuse("order", json::Value(order), "\"asc\" or \"desc\"");
    }
    std::vector<json::Value> items;
    bool more = false;
    bool past = after.empty();
    const std::size_t count = stored.items.size();
    for (std::size_t i = 0; i < count; ++i) {
        const auto item = json::parse(stored.items[order == "asc" ? i : count - 1 - i]);
        if (past && item && items.size() == most) {
            more = true;
        } else if (past && item) {
            items.push_back(*item);
        } else if (item && (*item)["id"] == after) {
            past = true;
        }
    }
    if (!past) {
        return refuse("after", json::Value(after), "the id of one of the items");
    }
    return fmt::format(R"({{"object":"list","data":{},"first_id":{},"last_id":{},"has_more":{}}})",
                       json::dump(json::Value(items)), quoted_id(items, false),
                       quoted_id(items, true), more);
}

std::string deleted_response_body(std::string_view id) {
    return json::dump({{"id", id}, {"object", "response"}, {"deleted", true}});
}

Error no_such_response(std::string_view id) {
    constexpr std::size_t kShownBytesMax = 64;
    return {Fault::not_found,
            fmt::format("response_id: no response \"{}\" is kept here; it was never stored, or has "
                        "made room for later ones",
                        id.substr(0, kShownBytesMax))};
}

}  // namespace trilane::dialect::openai
