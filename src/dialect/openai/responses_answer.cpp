#include "dialect/openai/responses_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "dialect/openai/shapes.h"
#include "dialect/overloaded.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

std::string string_of(std::string_view text) {
    std::string out;
    append_string(out, text);
    return out;
}

/// The codes that clients of this API know.
std::string_view code_of(Fault fault) {
    switch (fault) {
        case Fault::invalid:
            return "invalid_prompt";
        case Fault::exhausted:
            return "rate_limit_exceeded";
        default:
            return "server_error";
    }
}

}  // namespace

std::string ResponseWriter::on_event(std::size_t /*job_index*/, const job::Event& event) {
    out_.clear();
    if (finished_) {
        return {};
    }
    if (!std::holds_alternative<job::Failed>(event)) {
        begin();
    }
    std::visit(Overloaded{
                   [&](const job::Text& piece) { text(piece); },
                   [&](const job::ToolCallPiece& piece) { call(piece); },
                   [&](const job::ChoiceEnd& end) { end_choice(end); },
                   [&](const job::Done& last) { done(last); },
                   [&](const job::Failed& bad) { failed(bad.error); },
                   [](const auto&) {},  // events of asks that this endpoint does not make
               },
               event);
    return frame_.stream ? std::exchange(out_, {}) : std::string();
}

void ResponseWriter::begin() {
    if (!std::exchange(begun_, true)) {
        response_event("response.created", "in_progress");
        response_event("response.in_progress", "in_progress");
    }
}

void ResponseWriter::text(const job::Text& piece) {
    if (piece.text.empty() && piece.logprobs.empty()) {
        return;
    }
    const Kind kind = piece.reasoning ? Kind::reasoning : Kind::message;
    // A line break between thoughts and calls is no message.
    const bool blank = piece.text.find_first_not_of(" \r\n\t") == std::string::npos;
    if (blank && kind == Kind::message && !(open_ && items_.back().kind == kind)) {
        return;
    }
    Item& item = open(kind);
    thought_pieces_ += piece.reasoning ? 1 : 0;
    item.text += piece.text;
    std::string logprobs = "[]";
    if (frame_.with_logprobs && !piece.logprobs.empty()) {
        item.logprobs.insert(item.logprobs.end(), piece.logprobs.begin(), piece.logprobs.end());
        logprobs.clear();
        append_logprob_list(logprobs, piece.logprobs);
    }
    delta(item, piece.text, logprobs);
}

void ResponseWriter::call(const job::ToolCallPiece& piece) {
    const bool goes_on =
        open_ && items_.back().kind == Kind::call && items_.back().index == piece.index;
    if (!goes_on) {
        // A call whose item was closed cannot be opened again: its pieces come one after another.
        const bool closed = std::ranges::any_of(items_, [&](const Item& item) {
            return item.kind == Kind::call && item.index == piece.index;
        });
        if (closed || items_.size() >= kItemsMax) {
            return;
        }
        close("completed");
        Item& item = items_.emplace_back();
        item.kind = Kind::call;
        item.id = fmt::format("fc_{}_{}", frame_.suffix, items_.size() - 1);
        item.index = piece.index;
        item.call.id = piece.id;
        item.call.name = piece.name;
        open_ = true;
        event("response.output_item.added",
              fmt::format("\"output_index\":{},\"item\":{}", items_.size() - 1, item_json(item)));
    }
    Item& item = items_.back();
    item.text += piece.arguments;
    if (!piece.arguments.empty()) {
        event("response.function_call_arguments.delta",
              place(item) + ",\"delta\":" + string_of(piece.arguments));
    }
}

void ResponseWriter::end_choice(const job::ChoiceEnd& end) {
    cut_ = end.reason == job::FinishReason::length || end.reason == job::FinishReason::cancelled;
    if (items_.empty()) {
        open(Kind::message);
    }
    close(cut_ ? "incomplete" : "completed");
}

void ResponseWriter::done(const job::Done& last) {
    close("completed");
    usage_ = last.usage;
    finished_ = true;
    keep();
    response_event(cut_ ? "response.incomplete" : "response.completed",
                   cut_ ? "incomplete" : "completed");
}

void ResponseWriter::failed(const Error& error) {
    begin();
    error_ = error;
    finished_ = true;
    if (std::exchange(open_, false)) {
        items_.back().status = "incomplete";
    }
    response_event("response.failed", "failed");
}

/// The open item, when it is of that kind; a new one otherwise.
ResponseWriter::Item& ResponseWriter::open(Kind kind) {
    if (open_ && items_.back().kind == kind) {
        return items_.back();
    }
    close("completed");
    Item& item = items_.emplace_back();
    item.kind = kind;
    item.id = fmt::format("{}_{}_{}", kind == Kind::reasoning ? "rs" : "msg", frame_.suffix,
                          items_.size() - 1);
    open_ = true;
    // The item is announced without its parts, which follow.
    event("response.output_item.added",
          fmt::format("\"output_index\":{},\"item\":{}", items_.size() - 1, item_json(item)));
    const bool summary = kind == Kind::reasoning && frame_.as_summary;
    event(summary ? "response.reasoning_summary_part.added" : "response.content_part.added",
          place(item) + ",\"part\":" + part_json(item, false));
    return item;
}

/// Closes the last item, when it is open.
void ResponseWriter::close(std::string_view status) {
    if (!std::exchange(open_, false)) {
        return;
    }
    Item& item = items_.back();
    item.status = status;
    if (item.kind == Kind::call) {
        if (item.text.empty()) {
            item.text = "{}";
        }
        event("response.function_call_arguments.done",
              place(item) + ',' + name_json(item) + ",\"arguments\":" + string_of(item.text));
    } else {
        close_text(item);
    }
    event("response.output_item.done",
          fmt::format("\"output_index\":{},\"item\":{}", items_.size() - 1, item_json(item)));
}

void ResponseWriter::close_text(const Item& item) {
    const bool thought = item.kind == Kind::reasoning;
    const bool summary = thought && frame_.as_summary;
    std::string fields = place(item) + ",\"text\":" + string_of(item.text);
    if (!thought) {
        fields += ",\"logprobs\":";
        append_logprob_list(fields, item.logprobs);
    }
    event(summary   ? "response.reasoning_summary_text.done"
          : thought ? "response.reasoning_text.done"
                    : "response.output_text.done",
          fields);
    event(summary ? "response.reasoning_summary_part.done" : "response.content_part.done",
          place(item) + ",\"part\":" + part_json(item, true));
}

void ResponseWriter::delta(const Item& item, std::string_view text, std::string_view logprobs) {
    if (!frame_.stream) {
        return;
    }
    std::string fields = place(item) + ",\"delta\":";
    append_string(fields, text);
    if (item.kind == Kind::message) {
        fields += ",\"logprobs\":";
        fields += logprobs;
        event("response.output_text.delta", fields);
    } else {
        event(frame_.as_summary ? "response.reasoning_summary_text.delta"
                                : "response.reasoning_text.delta",
              fields);
    }
}

/// One frame of the stream.
void ResponseWriter::event(std::string_view type, std::string_view fields) {
    if (!frame_.stream) {
        return;
    }
    fmt::format_to(std::back_inserter(out_),
                   "event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1},{2}}}\n\n", type,
                   sequence_++, fields);
}

void ResponseWriter::response_event(std::string_view type, std::string_view status) {
    if (frame_.stream) {
        event(type, "\"response\":" + response(status));
    }
}

/// Where in the answer an item's text is.
std::string ResponseWriter::place(const Item& item) const {
    std::string fields = "\"item_id\":" + string_of(item.id);
    fmt::format_to(std::back_inserter(fields), ",\"output_index\":{}", items_.size() - 1);
    if (item.kind != Kind::call) {
        fields += item.kind == Kind::reasoning && frame_.as_summary ? ",\"summary_index\":0"
                                                                    : ",\"content_index\":0";
    }
    return fields;
}

std::string ResponseWriter::part_json(const Item& item, bool whole) const {
    const bool thought = item.kind == Kind::reasoning;
    std::string out = thought ? (frame_.as_summary ? R"({"type":"summary_text","text":)"
                                                   : R"({"type":"reasoning_text","text":)")
                              : R"({"type":"output_text","text":)";
    append_string(out, whole ? item.text : "");
    if (!thought) {
        out += R"(,"annotations":[],"logprobs":)";
        append_logprob_list(out, item.logprobs);
    }
    out += '}';
    return out;
}

/// `"name":…` of a call, and `"namespace":…` where it has one.
std::string ResponseWriter::name_json(const Item& item) const {
    const auto* spaced = frame_.spaced_names.find(item.call.name);
    if (spaced == nullptr) {
        return "\"name\":" + string_of(item.call.name);
    }
    return "\"name\":" + string_of(spaced->name) + ",\"namespace\":" + string_of(spaced->space);
}

std::string ResponseWriter::item_json(const Item& item) const {
    const bool closed = item.status != "in_progress";
    const std::string parts = closed ? "[" + part_json(item, true) + "]" : "[]";
    std::string out = "{\"id\":" + string_of(item.id);
    switch (item.kind) {
        case Kind::reasoning:
            out += R"(,"type":"reasoning","summary":)";
            out += frame_.as_summary ? parts : "[]";
            out += ",\"content\":";
            out += frame_.as_summary ? "[]" : parts;
            break;
        case Kind::message:
            out += R"(,"type":"message","role":"assistant","content":)" + parts;
            break;
        case Kind::call:
            out += R"(,"type":"function_call","call_id":)" + string_of(item.call.id) + ',' +
                   name_json(item) + ",\"arguments\":" + string_of(item.text);
            break;
    }
    fmt::format_to(std::back_inserter(out), ",\"status\":\"{}\"}}", item.status);
    return out;
}

std::string ResponseWriter::response(std::string_view status) const {
    std::string out = "{\"id\":" + string_of(frame_.id);
    fmt::format_to(std::back_inserter(out), R"(,"object":"response","status":"{}",)", status);
    out += "\"error\":";
    if (error_) {
        fmt::format_to(std::back_inserter(out), R"({{"code":"{}","message":{}}})",
                       code_of(error_->fault), string_of(error_->message));
    } else {
        out += "null";
    }
    out += ",\"incomplete_details\":";
    out += status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null";
    out += ",\"model\":" + string_of(frame_.model) + ',' + frame_.fields + ",\"output\":[";
    // What has begun is not shown before the end.
    for (std::size_t i = 0; finished_ && i < items_.size(); ++i) {
        out += i == 0 ? "" : ",";
        out += item_json(items_[i]);
    }
    out += ']';
    if (!usage_) {  // the published schema knows no null here
        out += '}';
        return out;
    }
    const std::uint32_t thoughts = std::min(thought_pieces_, usage_->completion_tokens);
    fmt::format_to(std::back_inserter(out),
                   R"(,"usage":{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},)"
                   R"("cache_write_tokens":0}},"output_tokens":{},)"
                   R"("output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}}}})",
                   usage_->prompt_tokens, usage_->cached_tokens, usage_->completion_tokens,
                   thoughts, std::uint64_t{usage_->prompt_tokens} + usage_->completion_tokens);
    return out;
}

std::string ResponseWriter::body() const {
    return response(cut_ ? "incomplete" : "completed");
}

/// The answer joins the conversation that led to it.
void ResponseWriter::keep() {
    if (frame_.kept == nullptr) {
        return;
    }
    StoredResponse& kept = *frame_.kept;
    kept.body = body();
    job::Message answer;
    answer.role = job::Role::assistant;
    for (const Item& item : items_) {
        switch (item.kind) {
            case Kind::reasoning:
                answer.reasoning += item.text;
                break;
            case Kind::message:
                answer.content += item.text;
                break;
            case Kind::call:
                answer.tool_calls.push_back({item.call.id, item.call.name, item.text});
                break;
        }
    }
    kept.messages.push_back(std::move(answer));
    frame_.store->keep(std::exchange(frame_.kept, nullptr));
}

}  // namespace trilane::dialect::openai
