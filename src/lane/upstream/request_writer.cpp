#include "lane/upstream/request_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "json/text.h"

namespace trilane::lane::upstream {
namespace {

/// Fields that are ours to write, or that would change what the answer looks like. Sorted.
constexpr std::array kOwnFields = std::to_array<std::string_view>({
    "cache_prompt",
    "echo",
    "frequency_penalty",
    "ignore_eos",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "min_p",
    "model",
    "n",
    "presence_penalty",
    "prompt",
    "repeat_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
});
static_assert(std::ranges::is_sorted(kOwnFields));

/// A seed that servers with signed 64-bit integers can read.
constexpr std::uint64_t kSeedMask = ~std::uint64_t{0} >> 1U;

/// A beginning for the buffer: what a request has beside its texts.
constexpr std::size_t kBodyBytes = 512;
constexpr std::size_t kMessageBytes = 64;

class BodyWriter {
public:
    BodyWriter(const job::Request& request, const Upstream& upstream, std::uint32_t choice)
        : request_(request),
          upstream_(upstream),
          rules_(upstream.rules),
          sampling_(request.sampling),
          choice_(choice) {}

    WrittenRequest write() {
        written_.choices = rules_.single_choice ? 1 : request_.choices;
        out_.reserve(kBodyBytes + text_bytes());
        out_ += R"({"model":)";
        text(upstream_.model);
        out_ += R"(,"stream":true,"stream_options":{"include_usage":true})";
        if (const auto* chat = std::get_if<job::Chat>(&request_.ask)) {
            write_chat(*chat);
        } else {
            write_completion(std::get<job::Completion>(request_.ask));
        }
        write_lengths();
        write_sampling();
        write_logprobs();
        write_extra();
        out_ += '}';
        written_.body = std::move(out_);
        return std::move(written_);
    }

private:
    [[nodiscard]] std::size_t text_bytes() const {
        std::size_t bytes = 0;
        if (const auto* chat = std::get_if<job::Chat>(&request_.ask)) {
            for (const job::Message& message : chat->messages) {
                bytes += kMessageBytes + message.content.size() + message.reasoning.size();
            }
            for (const job::Tool& tool : chat->tools) {
                bytes += kMessageBytes + tool.description.size() + tool.parameters.size();
            }
        } else if (const auto* prompt =
                       std::get_if<std::string>(&std::get<job::Completion>(request_.ask).prompt)) {
            bytes = prompt->size();
        }
        return bytes + bytes / 16;  // escapes
    }

    void text(std::string_view value) {
        out_ += '"';
        json::append_escaped(out_, value);
        out_ += '"';
    }

    /// `,"name":`
    void field(std::string_view name) {
        out_ += ",\"";
        out_ += name;
        out_ += "\":";
    }

    template <class Number>
    void number(std::string_view name, Number value) {
        field(name);
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }

    /// A number that goes without saying when it is the job's default and nobody needs to be told.
    template <class Number>
    void tuned(std::string_view name, Number value, Number standard) {
        if (!rules_.sparse_parameters || value != standard) {
            number(name, value);
        }
    }

    void write_chat(const job::Chat& chat) {
        written_.path = "/chat/completions";
        field("messages");
        char mark = '[';
        for (const job::Message& message : chat.messages) {
            out_ += mark;
            mark = ',';
            write_message(message);
        }
        out_ += chat.messages.empty() ? "[]" : "]";
        if (!chat.tools.empty()) {
            write_tools(chat.tools);
        }
        if (!chat.template_variables.empty()) {
            write_variables(chat);
        }
    }

    void write_message(const job::Message& message) {
        out_ += R"({"role":")";
        out_ += job::role_name(message.role);
        out_ += R"(","content":)";
        text(message.content);
        if (!message.reasoning.empty()) {
            field("reasoning_content");
            text(message.reasoning);
        }
        if (!message.tool_call_id.empty()) {
            field("tool_call_id");
            text(message.tool_call_id);
        }
        if (!message.tool_calls.empty()) {
            field("tool_calls");
            char mark = '[';
            for (const job::ToolCall& call : message.tool_calls) {
                out_ += mark;
                mark = ',';
                out_ += R"({"id":)";
                text(call.id);
                out_ += R"(,"type":"function","function":{"name":)";
                text(call.name);
                out_ += R"(,"arguments":)";
                text(call.arguments);
                out_ += "}}";
            }
            out_ += ']';
        }
        out_ += '}';
    }

    void write_tools(const std::vector<job::Tool>& tools) {
        field("tools");
        char mark = '[';
        for (const job::Tool& tool : tools) {
            out_ += mark;
            mark = ',';
            out_ += R"({"type":"function","function":{"name":)";
            text(tool.name);
            if (!tool.description.empty()) {
                field("description");
                text(tool.description);
            }
            if (!tool.parameters.empty()) {
                field("parameters");
                out_ += tool.parameters;
            }
            out_ += "}}";
        }
        out_ += ']';
    }

    void write_variables(const job::Chat& chat) {
        field("chat_template_kwargs");
        char mark = '{';
        for (const auto& [name, value] : chat.template_variables) {
            out_ += mark;
            mark = ',';
            text(name);
            out_ += ':';
            out_ += value.empty() ? std::string_view("null") : std::string_view(value);
        }
        out_ += '}';
        const auto thinking = chat.template_variables.find("enable_thinking");
        if (rules_.think_is_a_parameter && thinking != chat.template_variables.end()) {
            field("think");
            out_ += thinking->second;
        }
    }

    void write_completion(const job::Completion& completion) {
        written_.path = "/completions";
        field("prompt");
        if (const auto* words = std::get_if<std::string>(&completion.prompt)) {
            text(*words);
            return;  // an echo of it needs no server
        }
        const auto& ids = std::get<std::vector<std::int32_t>>(completion.prompt);
        fmt::format_to(std::back_inserter(out_), "[{}]", fmt::join(ids, ","));
        if (completion.echo) {
            out_ += R"(,"echo":true)";
        }
    }

    void write_lengths() {
        written_.max_tokens = request_.max_tokens;
        if (request_.max_tokens) {
            written_.max_tokens = std::max(*request_.max_tokens, rules_.max_tokens_min);
        } else if (rules_.never_says_length && upstream_.context_tokens > 0) {
            // Such a server ends at a number of its own and calls that "stop".
            written_.max_tokens = upstream_.context_tokens;
        }
        if (written_.max_tokens) {
            number("max_tokens", *written_.max_tokens);
        }
        if (written_.choices > 1) {
            number("n", written_.choices);
        }
        if (!request_.stop.empty() && !rules_.stops_ignored) {
            field("stop");
            char mark = '[';
            for (const std::string& stop : request_.stop) {
                out_ += mark;
                mark = ',';
                text(stop);
            }
            out_ += ']';
        }
        if (request_.ignore_end) {
            out_ += R"(,"ignore_eos":true)";
        }
        if (!rules_.sparse_parameters) {
            out_ += R"(,"cache_prompt":true)";
        }
    }

    void write_sampling() {
        const job::Sampling standard;
        tuned("temperature", sampling_.temperature, standard.temperature);
        tuned("top_k", sampling_.top_k, standard.top_k);
        tuned("top_p", sampling_.top_p, standard.top_p);
        if (rules_.integer_min_p) {
            // A fraction would be cut to 0 there, or refused.
            number("min_p", sampling_.min_p >= 1 ? 1 : 0);
        } else {
            tuned("min_p", sampling_.min_p, standard.min_p);
        }
        tuned("presence_penalty", sampling_.presence_penalty, standard.presence_penalty);
        tuned("frequency_penalty", sampling_.frequency_penalty, standard.frequency_penalty);
        // Two names, by two families of servers; each skips the one it does not know.
        tuned("repeat_penalty", sampling_.repeat_penalty, standard.repeat_penalty);
        tuned("repetition_penalty", sampling_.repeat_penalty, standard.repeat_penalty);
        if (sampling_.seed) {
            // Sequential choices with one seed would all be the same.
            number("seed", (*sampling_.seed + choice_) & kSeedMask);
        }
        if (!sampling_.logit_bias.empty()) {
            field("logit_bias");
            char mark = '{';
            for (const auto& [id, bias] : sampling_.logit_bias) {
                fmt::format_to(std::back_inserter(out_), "{}\"{}\":{}", mark, id, bias);
                mark = ',';
            }
            out_ += '}';
        }
    }

    /// Servers that take 0 for "none at all" are asked for one rival, which the reader drops.
    void write_logprobs() {
        if (!request_.top_logprobs) {
            return;
        }
        const std::uint32_t top = std::max(*request_.top_logprobs, 1U);
        if (std::holds_alternative<job::Chat>(request_.ask)) {
            out_ += R"(,"logprobs":true)";
            number("top_logprobs", top);
        } else {
            number("logprobs", top);
        }
    }

    void write_extra() {
        for (const auto& [name, value] : request_.extra) {
            const bool own = std::ranges::binary_search(kOwnFields, std::string_view(name)) ||
                             (name == "chat_template_kwargs" && has_variables()) ||
                             (name == "think" && rules_.think_is_a_parameter && has_variables());
            if (own || value.empty()) {
                continue;
            }
            out_ += ',';
            text(name);
            out_ += ':';
            out_ += value;
        }
    }

    [[nodiscard]] bool has_variables() const {
        const auto* chat = std::get_if<job::Chat>(&request_.ask);
        return chat != nullptr && !chat->template_variables.empty();
    }

    const job::Request& request_;
    const Upstream& upstream_;
    const UpstreamRules& rules_;
    const job::Sampling& sampling_;
    const std::uint32_t choice_;
    std::string out_;
    WrittenRequest written_;
};

}  // namespace

WrittenRequest write_request(const job::Request& request, const Upstream& upstream,
                             std::uint32_t choice) {
    return BodyWriter(request, upstream, choice).write();
}

}  // namespace trilane::lane::upstream
