#include "lane/upstream/request_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "lane/upstream/gbnf.h"
#include "lane/upstream/turns.h"

namespace trilane::lane::upstream {
namespace {

/// Fields that are ours to write, or that would change what the answer looks like. Sorted.
constexpr std::array kOwnFields = std::to_array<std::string_view>({
    "add_generation_prompt",
    "cache_prompt",
    "continue_final_message",
    "echo",
    "frequency_penalty",
    "ignore_eos",
    "input_prefix",
    "input_suffix",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "min_p",
    "model",
    "n",
    "n_predict",
    "presence_penalty",
    "prompt",
    "repeat_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
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

    Result<WrittenRequest> write() {
        TRILANE_TRY_STATUS(check());
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
        write_format();
        write_extra();
        out_ += '}';
        written_.body = std::move(out_);
        return std::move(written_);
    }

private:
    /// What cannot be written for this server. **Errors:** invalid.
    Status check() {
        TRILANE_TRY_STATUS(check_format());
        if (const auto* completion = std::get_if<job::Completion>(&request_.ask)) {
            if (!completion->suffix.empty() &&
                !std::holds_alternative<std::string>(completion->prompt)) {
                return fail(Fault::invalid,
                            "prompt: with a suffix it must be a text rather than tokens");
            }
            return {};
        }
        const auto& chat = std::get<job::Chat>(request_.ask);
        TRILANE_TRY_STATUS(check_media(chat, rules_));
        if (chat.continue_last && rules_.continuing == UpstreamContinuing::never) {
            return fail(Fault::invalid,
                        "messages: the server of '{}' cannot go on with an assistant's message; "
                        "end with a user's, or use a model of another lane",
                        upstream_.model);
        }
        using Kind = job::ToolChoice::Kind;
        const Kind kind = chat.tool_choice.kind;
        if ((kind == Kind::required || kind == Kind::named) &&
            rules_.tool_choice == UpstreamToolChoice::none) {
            return fail(Fault::invalid,
                        "tool_choice: the server of '{}' cannot be made to call a tool; send "
                        "\"auto\" or \"none\", or use a model of another lane",
                        upstream_.model);
        }
        return {};
    }

    Status check_format() {
        using Kind = job::Format::Kind;
        const Kind kind = request_.format.kind;
        if (kind == Kind::text) {
            return {};
        }
        const bool json = kind == Kind::json_object || kind == Kind::json_schema;
        if (rules_.formats == UpstreamFormats::none) {
            return fail(Fault::invalid,
                        "response_format: the server of '{}' cannot be held to a format; leave it "
                        "out, or use a model of another lane",
                        upstream_.model);
        }
        if (!json && rules_.formats == UpstreamFormats::schemas) {
            return fail(Fault::invalid,
                        "response_format: the server of '{}' can be held to JSON and JSON schemas "
                        "only; use one of these, or a model of another lane",
                        upstream_.model);
        }
        if (kind == Kind::choice) {
            grammar_ = grammar_of_choices(request_.format.choices);
        } else if (kind == Kind::regex) {
            TRILANE_TRY(grammar_, grammar_of_regex(request_.format.source));
        }
        return {};
    }

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

    void text(std::string_view value) { append_text(out_, value); }
    void field(std::string_view name) { append_field(out_, name); }

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
        append_messages(out_, chat, MediaParts::written);
        write_tool_choice(chat);
        append_variables(out_, chat, rules_);
        if (chat.continue_last && rules_.continuing == UpstreamContinuing::by_parameter) {
            out_ += R"(,"continue_final_message":true,"add_generation_prompt":false)";
        }
    }

    /// The tools, and whether they may, must or must not be called.
    void write_tool_choice(const job::Chat& chat) {
        using Kind = job::ToolChoice::Kind;
        const job::ToolChoice& choice = chat.tool_choice;
        const bool said = rules_.tool_choice != UpstreamToolChoice::none;
        if (chat.tools.empty() || (choice.kind == Kind::none && !said)) {
            return;
        }
        const bool by_name = rules_.tool_choice == UpstreamToolChoice::full;
        const bool named = choice.kind == Kind::named;
        append_tools(out_, chat, named && !by_name ? choice.name : std::string());
        if (said && named && by_name) {
            out_ += R"(,"tool_choice":{"type":"function","function":{"name":)";
            text(choice.name);
            out_ += "}}";
        } else if (said && choice.kind != Kind::automatic) {
            field("tool_choice");
            text(choice.kind == Kind::none ? "none" : "required");
        }
        if (!chat.parallel_tool_calls || !rules_.sparse_parameters) {
            field("parallel_tool_calls");
            out_ += chat.parallel_tool_calls ? "true" : "false";
        }
    }

    void write_format() {
        using Kind = job::Format::Kind;
        const job::Format& format = request_.format;
        const bool chats = std::holds_alternative<job::Chat>(request_.ask);
        switch (format.kind) {
            case Kind::text:
                return;
            case Kind::json_object:
            case Kind::json_schema:
                if (chats || rules_.formats == UpstreamFormats::schemas) {
                    write_response_format(format);
                } else {
                    field("json_schema");
                    out_ += format.kind == Kind::json_object ? R"({"type":"object"})"
                                                             : std::string_view(format.source);
                }
                return;
            case Kind::gbnf:
                field("grammar");
                text(format.source);
                return;
            case Kind::regex:
            case Kind::choice:
                field("grammar");
                text(grammar_);
                return;
        }
    }

    void write_response_format(const job::Format& format) {
        field("response_format");
        if (format.kind == job::Format::Kind::json_object) {
            out_ += R"({"type":"json_object"})";
            return;
        }
        out_ += R"({"type":"json_schema","json_schema":{"name":)";
        text(format.name.empty() ? std::string_view("answer") : std::string_view(format.name));
        if (format.strict) {
            out_ += R"(,"strict":true)";
        }
        field("schema");
        out_ += format.source;
        out_ += "}}";
    }

    void write_completion(const job::Completion& completion) {
        written_.path = "/completions";
        if (!completion.suffix.empty()) {
            write_insertion(completion);
            return;
        }
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

    void write_insertion(const job::Completion& completion) {
        const auto& before = std::get<std::string>(completion.prompt);
        if (rules_.infill) {
            written_.path = "/infill";
            written_.at_root = true;
            out_ += R"(,"prompt":"")";
        }
        field(rules_.infill ? "input_prefix" : "prompt");
        text(before);
        field(rules_.infill ? "input_suffix" : "suffix");
        text(completion.suffix);
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
            number(written_.at_root ? "n_predict" : "max_tokens", *written_.max_tokens);
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
                             (name == "think" && rules_.think_is_a_parameter && has_variables()) ||
                             (is_format(name) && request_.format.kind != job::Format::Kind::text) ||
                             (is_tool_choice(name) && has_tools());
            if (own || value.empty()) {
                continue;
            }
            out_ += ',';
            text(name);
            out_ += ':';
            out_ += value;
        }
    }

    static bool is_format(std::string_view name) {
        return name == "response_format" || name == "grammar" || name == "json_schema";
    }
    static bool is_tool_choice(std::string_view name) {
        return name == "tool_choice" || name == "parallel_tool_calls";
    }
    [[nodiscard]] bool has_tools() const {
        const auto* chat = std::get_if<job::Chat>(&request_.ask);
        return chat != nullptr && !chat->tools.empty();
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
    std::string grammar_;  // of a format that the server wants as one
    std::string out_;
    WrittenRequest written_;
};

}  // namespace

Result<WrittenRequest> write_request(const job::Request& request, const Upstream& upstream,
                                     std::uint32_t choice) {
    return BodyWriter(request, upstream, choice).write();
}

std::string written_turns(const job::Chat& chat, const Upstream& upstream) {
    std::string out;
    append_messages(out, chat, MediaParts::left_out);
    append_tools(out, chat);
    append_variables(out, chat, upstream.rules);
    return out;
}

}  // namespace trilane::lane::upstream
