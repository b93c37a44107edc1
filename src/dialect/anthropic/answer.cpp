// The ways to write an answer: as it comes (StreamWriter), whole (BodyWriter), and a mere count.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "dialect/anthropic/anthropic.h"
#include "dialect/anthropic/blocks.h"
#include "dialect/overloaded.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::anthropic {
namespace {

using json::append_string;

/// Blanks that are held back before a text is taken to begin with them.
constexpr std::size_t kBlankBytesMax = 4096;

bool is_blank(std::string_view text) {
    return text.size() <= kBlankBytesMax &&
           text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// "end_turn" …: `calls` says whether there are tool_use blocks.
std::string_view stop_reason(const job::ChoiceEnd& end, bool calls) {
    switch (end.reason) {
        case job::FinishReason::stop:
        case job::FinishReason::tool_calls:
            if (calls) {
                return "tool_use";
            }
            return end.stop_text.empty() ? "end_turn" : "stop_sequence";
        case job::FinishReason::length:
        case job::FinishReason::cancelled:
            break;
    }
    return "max_tokens";
}

/// `"stop_reason":…,"stop_sequence":…,"stop_details":null`
void append_stop(std::string& out, std::string_view reason, std::string_view sequence) {
    fmt::format_to(std::back_inserter(out), R"("stop_reason":"{}","stop_sequence":)", reason);
    if (reason == "stop_sequence") {
        append_string(out, sequence);
    } else {
        out += "null";
    }
    out += ",\"stop_details\":null";
}

/// `{"input_tokens":…}`: input without what the cache had; that is said beside it.
void append_usage(std::string& out, const job::Usage& usage) {
    const std::uint32_t cached = std::min(usage.cached_tokens, usage.prompt_tokens);
    fmt::format_to(std::back_inserter(out),
                   R"({{"input_tokens":{},"cache_creation_input_tokens":0,)"
                   R"("cache_read_input_tokens":{},"cache_creation":{{)"
                   R"("ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},)"
                   R"("output_tokens":{},"output_tokens_details":null,"server_tool_use":null,)"
                   R"("service_tier":"standard","inference_geo":null,"speed":"standard"}})",
                   usage.prompt_tokens - cached, cached, usage.completion_tokens);
}

/// `{"id":…,"type":"message","role":"assistant","model":…,"container":null,"diagnostics":null,
/// "content":`
void append_head(std::string& out, std::string_view id, std::string_view model) {
    out += "{\"id\":";
    append_string(out, id);
    out += R"(,"type":"message","role":"assistant","model":)";
    append_string(out, model);
    out += R"(,"container":null,"diagnostics":null,"content":)";
}

/// The input of a call as JSON, always an object: a model may write anything.
void append_input(std::string& out, const std::string& text) {
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
        out += "{}";
        return;
    }
    const auto value = json::parse(text);
    if (value && value->is_object()) {
        out += text;
        return;
    }
    out += "{\"INVALID_JSON\":";
    append_string(out, text);
    out += '}';
}

/// A block with its content, or as it begins.
void append_block(std::string& out, const Block& block, bool sealed_thinking) {
    switch (block.kind) {
        case Block::Kind::text:
            out += R"({"type":"text","text":)";
            append_string(out, block.text);
            out += '}';
            return;
        case Block::Kind::thinking:
            out += R"({"type":"thinking","thinking":)";
            append_string(out, sealed_thinking ? "" : block.text);
            out += ",\"signature\":";
            append_string(out, sealed_thinking && !block.text.empty() ? sealed(block.text) : "");
            out += '}';
            return;
        case Block::Kind::tool_use:
            out += R"({"type":"tool_use","id":)";
            append_string(out, block.id);
            out += ",\"name\":";
            append_string(out, block.name);
            out += ",\"input\":";
            append_input(out, block.text);
            out += R"(,"caller":{"type":"direct"}})";
            return;
    }
}

/// A call's block, without its input. Not every lane names its calls.
Block block_of(const job::ToolCallPiece& piece, std::string_view message_id) {
    Block block;
    block.kind = Block::Kind::tool_use;
    block.id = piece.id.empty() ? fmt::format("toolu_{}_{}", message_id, piece.index) : piece.id;
    block.name = piece.name;
    block.call = piece.index;
    return block;
}

std::string event_of(std::string_view name, std::string_view data) {
    return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

constexpr std::string_view kPing = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

}  // namespace

StreamWriter::StreamWriter(const Parsed& parsed)
    : id_(parsed.response_id), model_(parsed.job.model), thinking_(parsed.thinking) {}

std::string StreamWriter::content_type() const {
    return std::string(kEventStreamType);
}

std::string StreamWriter::heartbeat() const {
    return std::string(kPing);
}

std::string StreamWriter::on_event(std::size_t /*job_index*/, const job::Event& event) {
    std::string out;
    if (finished_) {
        return out;
    }
    std::visit(Overloaded{
                   [&](const job::Started& begin) { start(out, begin.prompt_tokens); },
                   [&](const job::Text& piece) { text(out, piece); },
                   [&](const job::ToolCallPiece& piece) { tool_call(out, piece); },
                   [&](const job::ChoiceEnd& end) { end_ = end; },
                   [&](const job::Done& last) { done(out, last); },
                   [&](const job::Failed& failed) { fail(out, failed.error); },
                   [](const auto&) {},  // events of asks that this endpoint does not make
               },
               event);
    return out;
}

void StreamWriter::start(std::string& out, std::uint32_t prompt_tokens) {
    if (std::exchange(started_, true)) {
        return;
    }
    std::string data = R"({"type":"message_start","message":)";
    append_head(data, id_, model_);
    data += R"([],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":)";
    append_usage(data, {prompt_tokens, 0, 0});
    data += "}}";
    out += event_of("message_start", data);
}

void StreamWriter::text(std::string& out, const job::Text& piece) {
    start(out, 0);
    if (piece.reasoning) {
        thinking(out, piece.text);
        return;
    }
    if (piece.text.empty()) {
        return;
    }
    if (!open_ || open_->kind != Block::Kind::text) {
        // Models put line breaks between what they think, say and call; those are no texts.
        blanks_ += piece.text;
        if (is_blank(blanks_)) {
            return;
        }
        close(out);
        open(out, {});
        delta(out, "text_delta", "text", std::exchange(blanks_, {}));
        return;
    }
    delta(out, "text_delta", "text", piece.text);
}

void StreamWriter::thinking(std::string& out, std::string_view text) {
    if (thinking_ == Thinking::hidden || text.empty()) {
        return;
    }
    blanks_.clear();
    if (!open_ || open_->kind != Block::Kind::thinking) {
        close(out);
        Block block;
        block.kind = Block::Kind::thinking;
        open(out, block);
    }
    if (thinking_ == Thinking::sealed) {
        open_->text += text;
    } else {
        delta(out, "thinking_delta", "thinking", text);
    }
}

void StreamWriter::tool_call(std::string& out, const job::ToolCallPiece& piece) {
    if (piece.index >= kToolCallsMax) {
        return;
    }
    start(out, 0);
    blanks_.clear();
    if (!open_ || open_->kind != Block::Kind::tool_use || open_->call != piece.index) {
        if (piece.index < calls_) {
            fail(out, {Fault::internal,
                       "the model's server mixed the pieces of several tool calls; send the "
                       "request again with stream: false"});
            return;
        }
        close(out);
        const std::string_view suffix = std::string_view(id_).substr(id_.find('_') + 1);
        open(out, block_of(piece, suffix));
        calls_ = piece.index + 1;
    }
    if (!piece.arguments.empty()) {
        delta(out, "input_json_delta", "partial_json", piece.arguments);
    }
}

void StreamWriter::open(std::string& out, const Block& block) {
    open_ = block;
    std::string data =
        fmt::format(R"({{"type":"content_block_start","index":{},"content_block":)", blocks_);
    append_block(data, block, thinking_ == Thinking::sealed);
    data += '}';
    out += event_of("content_block_start", data);
    if (blocks_++ == 0) {
        out += kPing;
    }
}

void StreamWriter::close(std::string& out) {
    if (!open_) {
        return;
    }
    if (open_->kind == Block::Kind::thinking) {
        delta(out, "signature_delta", "signature",
              open_->text.empty() ? std::string() : sealed(open_->text));
    }
    out += event_of("content_block_stop",
                    fmt::format(R"({{"type":"content_block_stop","index":{}}})", blocks_ - 1));
    open_.reset();
}

/// Of the open block.
void StreamWriter::delta(std::string& out, std::string_view type, std::string_view field,
                         std::string_view text) const {
    TRILANE_CHECK(blocks_ > 0);
    fmt::format_to(std::back_inserter(out),
                   "event: content_block_delta\n"
                   R"(data: {{"type":"content_block_delta","index":{},"delta":{{"type":"{}","{}":)",
                   blocks_ - 1, type, field);
    append_string(out, text);
    out += "}}\n\n";
}

void StreamWriter::done(std::string& out, const job::Done& last) {
    start(out, last.usage.prompt_tokens);
    if (blocks_ == 0 && !blanks_.empty()) {
        open(out, {});
        delta(out, "text_delta", "text", blanks_);  // it is all there is
    }
    close(out);
    std::string data = R"({"type":"message_delta","delta":{)";
    append_stop(data, stop_reason(end_, calls_ > 0), end_.stop_text);
    data += ",\"container\":null},\"usage\":";
    append_usage(data, last.usage);
    data += '}';
    out += event_of("message_delta", data);
    out += event_of("message_stop", R"({"type":"message_stop"})");
    finished_ = true;
}

void StreamWriter::fail(std::string& out, const Error& error) {
    out += event_of("error", error_body(error));
    finished_ = true;
}

BodyWriter::BodyWriter(const Parsed& parsed)
    : id_(parsed.response_id), model_(parsed.job.model), thinking_(parsed.thinking) {}

std::string BodyWriter::on_event(std::size_t /*job_index*/, const job::Event& event) {
    if (finished()) {
        return {};
    }
    std::visit(Overloaded{
                   [&](const job::Text& piece) { text(piece); },
                   [&](const job::ToolCallPiece& piece) { tool_call(piece); },
                   [&](const job::ChoiceEnd& end) { end_ = end; },
                   [&](const job::Done& last) { usage_ = last.usage; },
                   [&](const job::Failed& failed) { error_ = failed.error; },
                   [](const auto&) {},
               },
               event);
    return {};
}

void BodyWriter::text(const job::Text& piece) {
    const auto kind = piece.reasoning ? Block::Kind::thinking : Block::Kind::text;
    if (piece.text.empty() || (piece.reasoning && thinking_ == Thinking::hidden)) {
        return;
    }
    if (!blocks_.empty() && blocks_.back().kind == kind) {
        blocks_.back().text += piece.text;
        return;
    }
    if (kind == Block::Kind::text) {
        blanks_ += piece.text;
        if (is_blank(blanks_)) {
            return;
        }
        blocks_.emplace_back().text = std::exchange(blanks_, {});
        return;
    }
    blanks_.clear();
    Block& block = blocks_.emplace_back();
    block.kind = kind;
    block.text = piece.text;
}

void BodyWriter::tool_call(const job::ToolCallPiece& piece) {
    if (piece.index >= kToolCallsMax) {
        return;
    }
    blanks_.clear();
    auto block = std::ranges::find_if(blocks_, [&](const Block& one) {
        return one.kind == Block::Kind::tool_use && one.call == piece.index;
    });
    if (block == blocks_.end()) {
        const std::string_view suffix = std::string_view(id_).substr(id_.find('_') + 1);
        blocks_.push_back(block_of(piece, suffix));
        block = std::prev(blocks_.end());
    }
    block->text += piece.arguments;
}

std::string BodyWriter::body() const {
    TRILANE_CHECK(usage_ && !error_);
    std::vector<Block> blocks = blocks_;
    if (blocks.empty() && !blanks_.empty()) {
        blocks.emplace_back().text = blanks_;  // it is all there is
    }
    std::string out;
    append_head(out, id_, model_);
    out += '[';
    bool calls = false;
    for (const Block& block : blocks) {
        out += &block == blocks.data() ? "" : ",";
        append_block(out, block, thinking_ == Thinking::sealed);
        calls = calls || block.kind == Block::Kind::tool_use;
    }
    out += "],";
    append_stop(out, stop_reason(end_, calls), end_.stop_text);
    out += ",\"usage\":";
    append_usage(out, *usage_);
    out += '}';
    return out;
}

std::string CountWriter::on_event(std::size_t /*job_index*/, const job::Event& event) {
    if (finished()) {
        return {};
    }
    if (const auto* done = std::get_if<job::Done>(&event)) {
        tokens_ = done->usage.prompt_tokens;
    } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
        error_ = failed->error;
    }
    return {};
}

std::string CountWriter::body() const {
    TRILANE_CHECK(tokens_ && !error_);
    return fmt::format(R"({{"input_tokens":{}}})", *tokens_);
}

}  // namespace trilane::dialect::anthropic
