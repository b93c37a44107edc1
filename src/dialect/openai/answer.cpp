// Both ways to write an answer: as it comes (StreamWriter) and whole (BodyWriter).
#include <fmt/format.h>

#include <iterator>

#include "base/check.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/shapes.h"
#include "dialect/overloaded.h"

namespace trilane::dialect::openai {
namespace {

/// Whether the jobs want log-probabilities: what they share, they share in all of them.
bool wants_logprobs(const Parsed& parsed) {
    TRILANE_CHECK(!parsed.jobs.empty());
    return parsed.jobs.front().top_logprobs.has_value();
}

Parsed without_jobs(const Parsed& parsed) {
    Parsed rest;
    rest.endpoint = parsed.endpoint;
    rest.response_id = parsed.response_id;
    rest.created_unix_s = parsed.created_unix_s;
    rest.model = parsed.model;
    rest.system_fingerprint = parsed.system_fingerprint;
    rest.stream = parsed.stream;
    rest.include_usage = parsed.include_usage;
    rest.old_functions = parsed.old_functions;
    return rest;
}

/// The choice of the whole answer that `choice` of job `job_index` is.
std::size_t choice_index(const std::vector<std::size_t>& first_choice, std::size_t job_index,
                         std::uint32_t choice) {
    TRILANE_CHECK(job_index + 1 < first_choice.size());
    const std::size_t index = first_choice[job_index] + choice;
    TRILANE_CHECK(index < first_choice[job_index + 1]);
    return index;
}

void add_piece(std::vector<job::ToolCall>& calls, const job::ToolCallPiece& piece) {
    if (piece.index >= kToolCallsMax) {
        return;
    }
    if (calls.size() <= piece.index) {
        calls.resize(piece.index + std::size_t{1});
    }
    job::ToolCall& call = calls[piece.index];
    call.id += piece.id;
    call.name += piece.name;
    call.arguments += piece.arguments;
}

void append_tool_calls(std::string& out, const std::vector<job::ToolCall>& calls) {
    out += ",\"tool_calls\":[";
    for (const job::ToolCall& call : calls) {
        out += &call == calls.data() ? "{\"id\":" : ",{\"id\":";
        append_string(out, call.id);
        out += R"(,"type":"function","function":{"name":)";
        append_string(out, call.name);
        out += ",\"arguments\":";
        append_string(out, call.arguments);
        out += "}}";
    }
    out += ']';
}

void append_old_call(std::string& out, const job::ToolCall& call) {
    out += R"(,"function_call":{"name":)";
    append_string(out, call.name);
    out += ",\"arguments\":";
    append_string(out, call.arguments);
    out += '}';
}

}  // namespace

StreamWriter::StreamWriter(const Parsed& parsed)
    : asked_(without_jobs(parsed)),
      with_logprobs_(wants_logprobs(parsed)),
      tail_(parsed.include_usage ? "],\"usage\":null}\n\n" : "]}\n\n"),
      first_choice_(first_choices(parsed.jobs)),
      choices_(first_choice_.back()),
      choices_running_(choices_.size()),
      jobs_running_(parsed.jobs.size()) {
    write_head();
}

void StreamWriter::write_head() {
    head_ = "data: ";
    append_head(head_, asked_,
                asked_.endpoint == Endpoint::chat_completions ? "chat.completion.chunk"
                                                              : "text_completion");
}

void StreamWriter::name_model(std::string_view id) {
    asked_.model = id;
    write_head();
}

std::string StreamWriter::content_type() const {
    return std::string(kEventStreamType);
}

/// A comment line of server-sent events: clients skip it.
std::string StreamWriter::heartbeat() const {
    return ": ping\n\n";
}

std::string StreamWriter::on_event(std::size_t job_index, const job::Event& event) {
    std::string out;
    if (finished_) {
        return out;
    }
    std::visit(Overloaded{
                   [&](const job::Started&) { open_choices(out, job_index); },
                   [&](const job::Text& piece) {
                       text(out, choice_index(first_choice_, job_index, piece.choice), piece);
                   },
                   [&](const job::ToolCallPiece& piece) {
                       tool_call(out, choice_index(first_choice_, job_index, piece.choice), piece);
                   },
                   [&](const job::ChoiceEnd& end) {
                       end_choice(out, choice_index(first_choice_, job_index, end.choice), end);
                   },
                   [&](const job::Done& last) { done(out, last); },
                   [&](const job::Failed& failed) {
                       out = "data: " + error_body(failed.error) + "\n\n";
                       finished_ = true;
                   },
                   [](const auto&) {},  // events of asks that these endpoints do not make
               },
               event);
    return out;
}

void StreamWriter::begin_chunk(std::string& out, std::size_t index) const {
    out += head_;
    fmt::format_to(std::back_inserter(out), "{{\"index\":{},", index);
}

/// A chat's choice begins with a chunk that says who speaks.
void StreamWriter::open_choice(std::string& out, std::size_t index) {
    if (choices_[index].opened || asked_.endpoint != Endpoint::chat_completions) {
        return;
    }
    choices_[index].opened = true;
    begin_chunk(out, index);
    out += R"("delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})";
    out += tail_;
}

void StreamWriter::open_choices(std::string& out, std::size_t job_index) {
    TRILANE_CHECK(job_index + 1 < first_choice_.size());
    for (std::size_t i = first_choice_[job_index]; i < first_choice_[job_index + 1]; ++i) {
        open_choice(out, i);
    }
}

void StreamWriter::text(std::string& out, std::size_t index, const job::Text& piece) {
    const bool logprobs = with_logprobs_ && !piece.logprobs.empty();
    if (piece.text.empty() && !logprobs) {
        return;
    }
    const bool chat = asked_.endpoint == Endpoint::chat_completions;
    open_choice(out, index);
    begin_chunk(out, index);
    if (chat) {
        out += piece.reasoning ? "\"delta\":{\"reasoning_content\":" : "\"delta\":{\"content\":";
        append_string(out, piece.text);
        out += '}';
    } else {
        out += "\"text\":";
        append_string(out, piece.text);
    }
    out += ",\"logprobs\":";
    if (!logprobs) {
        out += "null";
    } else if (chat) {
        append_chat_logprobs(out, piece.logprobs);
    } else {
        append_completion_logprobs(out, piece.logprobs, choices_[index].characters);
    }
    out += ",\"finish_reason\":null}";
    out += tail_;
}

void StreamWriter::tool_call(std::string& out, std::size_t index, const job::ToolCallPiece& piece) {
    if (asked_.endpoint != Endpoint::chat_completions) {
        return;
    }
    const bool old = asked_.old_functions;
    if (old && piece.index > 0) {
        return;  // there is room for one
    }
    open_choice(out, index);
    begin_chunk(out, index);
    if (old) {
        out += R"("delta":{"function_call":{)";
    } else {
        fmt::format_to(std::back_inserter(out), R"("delta":{{"tool_calls":[{{"index":{},)",
                       piece.index);
        if (!piece.id.empty() || !piece.name.empty()) {
            out += "\"id\":";
            append_string(out, piece.id);
            out += R"(,"type":"function",)";
        }
        out += "\"function\":{";
    }
    if (!piece.name.empty()) {
        out += "\"name\":";
        append_string(out, piece.name);
        out += ',';
    }
    out += "\"arguments\":";
    append_string(out, piece.arguments);
    out += old ? "}}" : "}}]}";
    out += R"(,"logprobs":null,"finish_reason":null})";
    out += tail_;
}

void StreamWriter::end_choice(std::string& out, std::size_t index, const job::ChoiceEnd& end) {
    open_choice(out, index);
    std::string chunk;
    begin_chunk(chunk, index);
    chunk += asked_.endpoint == Endpoint::chat_completions ? "\"delta\":{}" : "\"text\":\"\"";
    fmt::format_to(std::back_inserter(chunk), R"(,"logprobs":null,"finish_reason":"{}")",
                   finish_reason(end.reason, asked_.old_functions));
    append_stop_text(chunk, end.stop_text);
    chunk += '}';
    TRILANE_CHECK(choices_running_ > 0);
    if (--choices_running_ == 0 && !asked_.include_usage) {
        held_ = std::move(chunk);
        return;
    }
    out += chunk;
    out += tail_;
}

void StreamWriter::done(std::string& out, const job::Done& last) {
    tally_.add(last);
    if (--jobs_running_ > 0) {
        return;
    }
    if (asked_.include_usage) {
        out += head_;
        out += "],";
        append_usage(out, tally_.usage);
    } else {
        // A lane that ended no choice leaves nothing to hold; then the timings go alone.
        out += held_.empty() ? head_ : held_;
        out += ']';
    }
    out += ',';
    append_timings(out, tally_);
    out += "}\n\ndata: [DONE]\n\n";
    finished_ = true;
}

BodyWriter::BodyWriter(const Parsed& parsed)
    : asked_(without_jobs(parsed)),
      with_logprobs_(wants_logprobs(parsed)),
      first_choice_(first_choices(parsed.jobs)),
      choices_(first_choice_.back()),
      jobs_running_(parsed.jobs.size()) {}

std::string BodyWriter::on_event(std::size_t job_index, const job::Event& event) {
    if (finished()) {
        return {};
    }
    const auto choice = [&](std::uint32_t of_job) -> Choice& {
        return choices_[choice_index(first_choice_, job_index, of_job)];
    };
    std::visit(Overloaded{
                   [](const job::Started&) {},
                   [&](const job::Text& piece) {
                       Choice& into = choice(piece.choice);
                       const bool aside =
                           piece.reasoning && asked_.endpoint == Endpoint::chat_completions;
                       (aside ? into.reasoning : into.text) += piece.text;
                       if (with_logprobs_) {
                           into.logprobs.insert(into.logprobs.end(), piece.logprobs.begin(),
                                                piece.logprobs.end());
                       }
                   },
                   [&](const job::ToolCallPiece& piece) {
                       add_piece(choice(piece.choice).tool_calls, piece);
                   },
                   [&](const job::ChoiceEnd& end) {
                       choice(end.choice).reason = end.reason;
                       choice(end.choice).stop_text = end.stop_text;
                   },
                   [&](const job::Done& last) {
                       tally_.add(last);
                       --jobs_running_;
                   },
                   [&](const job::Failed& failed) { error_ = failed.error; },
                   [](const auto&) {},  // events of asks that these endpoints do not make
               },
               event);
    return {};
}

const Error* BodyWriter::error() const {
    return error_ ? &*error_ : nullptr;
}

void BodyWriter::append_choice(std::string& out, std::size_t index) const {
    const Choice& choice = choices_[index];
    const bool chat = asked_.endpoint == Endpoint::chat_completions;
    fmt::format_to(std::back_inserter(out), "{{\"index\":{},", index);
    out += chat ? R"("message":{"role":"assistant","content":)" : "\"text\":";
    if (chat && choice.text.empty() && !choice.tool_calls.empty()) {
        out += "null";
    } else {
        append_string(out, choice.text);
    }
    if (chat && !choice.tool_calls.empty()) {
        if (asked_.old_functions) {
            append_old_call(out, choice.tool_calls.front());
        } else {
            append_tool_calls(out, choice.tool_calls);
        }
    }
    if (chat && !choice.reasoning.empty()) {
        out += ",\"reasoning_content\":";
        append_string(out, choice.reasoning);
    }
    out += chat ? ",\"refusal\":null},\"logprobs\":" : ",\"logprobs\":";
    if (!with_logprobs_) {
        out += "null";
    } else if (chat) {
        append_chat_logprobs(out, choice.logprobs);
    } else {
        std::uint32_t characters = 0;
        append_completion_logprobs(out, choice.logprobs, characters);
    }
    fmt::format_to(std::back_inserter(out), ",\"finish_reason\":\"{}\"",
                   finish_reason(choice.reason, asked_.old_functions));
    append_stop_text(out, choice.stop_text);
    out += '}';
}

std::string BodyWriter::body() const {
    TRILANE_CHECK(finished() && !error_);
    std::string out;
    append_head(
        out, asked_,
        asked_.endpoint == Endpoint::chat_completions ? "chat.completion" : "text_completion");
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        out += i == 0 ? "" : ",";
        append_choice(out, i);
    }
    out += "],";
    append_usage(out, tally_.usage);
    out += ',';
    append_timings(out, tally_);
    out += '}';
    return out;
}

}  // namespace trilane::dialect::openai
