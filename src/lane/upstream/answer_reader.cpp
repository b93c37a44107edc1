#include "lane/upstream/answer_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "lane/upstream/server_error.h"
#include "lane/upstream/status.h"

namespace trilane::lane::upstream {
namespace {

constexpr std::string_view kEndMark = "[DONE]";

template <class T>
void take_over(std::optional<T>& into, const std::optional<T>& from) {
    if (from) {
        into = from;
    }
}

void take_over(Figures& into, const Figures& from) {
    take_over(into.prompt_tokens, from.prompt_tokens);
    take_over(into.completion_tokens, from.completion_tokens);
    take_over(into.cached_tokens, from.cached_tokens);
    take_over(into.read_tokens, from.read_tokens);
    take_over(into.predicted_tokens, from.predicted_tokens);
    take_over(into.prompt_ms, from.prompt_ms);
    take_over(into.predicted_ms, from.predicted_ms);
}

std::uint32_t sum(std::uint32_t a, std::uint32_t b) {
    const std::uint64_t whole = std::uint64_t{a} + b;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(whole, UINT32_MAX));
}

}  // namespace

AnswerReader::AnswerReader(const Upstream& upstream, const job::Request& request,
                           const WrittenRequest& asked, std::function<void(job::Event)> sink)
    : upstream_(upstream),
      sink_(std::move(sink)),
      request_id_(request.id),
      max_tokens_(asked.max_tokens),
      top_logprobs_(request.top_logprobs),
      stop_(request.stop),
      choices_left_(asked.choices),
      choices_(asked.choices) {}

void AnswerReader::on_head(unsigned status, std::string_view content_type) {
    status_ = status;
    says_json_ = content_type.find("json") != std::string_view::npos;
    if (status < kStatusOk || status >= kStatusOkEnd) {
        mode_ = Mode::error;
    }
}

/// Servers answer errors as JSON where a stream was asked for, some under a stream's content type,
/// and some know no streams: the first byte says more than the head.
/// White space before it is dropped, however the bytes are cut.
void AnswerReader::choose_mode(std::string_view& bytes) {
    bytes.remove_prefix(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
    if (bytes.empty()) {
        return;
    }
    const bool like_stream = std::string_view("deir:").find(bytes[0]) != std::string_view::npos;
    mode_ = like_stream && !says_json_ ? Mode::stream : Mode::whole;
}

void AnswerReader::on_body(std::string_view bytes) {
    if (finished_) {
        return;
    }
    if (mode_ == Mode::unknown) {
        choose_mode(bytes);
    }
    switch (mode_) {
        case Mode::unknown:
            return;
        case Mode::error:
            whole_ += bytes.substr(0, kErrorBytesMax - std::min(whole_.size(), kErrorBytesMax));
            return;
        case Mode::whole:
            if (whole_.size() + bytes.size() > kWholeBytesMax) {
                fail({Fault::corrupt,
                      fmt::format("the model's server sent more than {} bytes that are no stream",
                                  kWholeBytesMax)});
                return;
            }
            whole_ += bytes;
            return;
        case Mode::stream:
            break;
    }
    const std::size_t comments = sse_.comments();
    const auto fed = sse_.feed(bytes, [this](std::string_view data) { return take_data(data); });
    if (fed == SseParser::Fed::too_long) {
        fail({Fault::corrupt, fmt::format("the model's server sent an event of more than {} bytes",
                                          kEventBytesMax)});
    } else if (sse_.comments() != comments && !finished_) {
        start();  // it is at work on the request, though it has nothing to show yet
    }
}

/// One event of the stream. False: nothing more is wanted.
bool AnswerReader::take_data(std::string_view data) {
    if (data == kEndMark) {
        if (pieces_ == 0) {
            fail({Fault::corrupt, "the model's server ended its answer before it began"});
        } else {
            done();
        }
        return false;
    }
    if (data.empty()) {
        return true;
    }
    if (read_chunk(data, chunk_) != ChunkShape::object) {
        fail({Fault::corrupt, fmt::format("the model's server sent what is no piece of an answer: "
                                          "{}",
                                          quoted(data, upstream_))});
        return false;
    }
    take_chunk();
    // Some servers forget the end mark and leave the connection open: all is said by then.
    if ((upstream_.rules.end_may_be_missing || chunk_.is_native) && only_end_missing() &&
        figures_.completion_tokens.has_value()) {
        done();
    }
    return !finished_;
}

void AnswerReader::take_chunk() {
    if (chunk_.error) {
        fail_with_report(*chunk_.error);
        return;
    }
    if (upstream_.rules.check_model && !chunk_.model.empty() && chunk_.model != upstream_.model) {
        fail({Fault::corrupt, fmt::format("the model's server answered as '{}' though '{}' was "
                                          "asked for; reload the model",
                                          quoted(chunk_.model, upstream_), upstream_.model)});
        return;
    }
    if (!chunk_.has_choices && !chunk_.has_usage) {
        return;
    }
    ++pieces_;
    take_over(figures_, chunk_.figures);
    start();
    for (ChoiceDelta& delta : chunk_.choices) {
        take_delta(delta);
        if (finished_) {
            return;
        }
    }
}

void AnswerReader::take_delta(ChoiceDelta& delta) {
    if (delta.index >= choices_.size()) {
        fail({Fault::corrupt,
              fmt::format("the model's server sent choice {} where {} were asked for", delta.index,
                          choices_.size())});
        return;
    }
    Choice& choice = choices_[delta.index];
    if (choice.finish != Finish::none) {
        return;
    }
    send_text(delta, choice);
    for (ToolDelta& call : delta.tool_calls) {
        send_tool_call(choice, delta.index, call);
        if (finished_) {
            return;
        }
    }
    if (delta.finish == Finish::error) {
        server_said_ = true;
        fail({Fault::unavailable,
              "the model's server broke the answer off with an error of its "
              "own; try again, or look at the lane's log"});
    } else if (delta.finish != Finish::none) {
        choice.finish = delta.finish;
        if (std::ranges::find(stop_, delta.stop_text) != stop_.end()) {
            choice.stop_text = std::move(delta.stop_text);
        }
        --choices_left_;
        // Whether it ended for its length may stand in the figures, which come last.
        if (!upstream_.rules.never_says_length) {
            send_end(choice, delta.index);
        }
    }
}

void AnswerReader::send_text(ChoiceDelta& delta, Choice& choice) {
    if (!top_logprobs_) {
        delta.logprobs.clear();
    }
    for (job::LogprobEntry& entry : delta.logprobs) {
        entry.top.resize(std::min<std::size_t>(entry.top.size(), *top_logprobs_));
    }
    // Log-probabilities belong to the answer, or to the thoughts where there are only these.
    const bool thinks = !delta.reasoning.empty();
    const bool answers = !delta.content.empty() || (!thinks && !delta.logprobs.empty());
    if (thinks) {
        job::Text piece{delta.index, std::move(delta.reasoning), true, {}};
        if (!answers) {
            piece.logprobs.swap(delta.logprobs);
        }
        send_piece(choice, std::move(piece));
    }
    if (answers) {
        send_piece(choice,
                   {delta.index, std::move(delta.content), false, std::move(delta.logprobs)});
    }
}

void AnswerReader::send_piece(Choice& choice, job::Text piece) {
    choice.tokens = sum(choice.tokens, std::max<std::uint32_t>(
                                           1, static_cast<std::uint32_t>(piece.logprobs.size())));
    std::string& tail = piece.reasoning ? choice.reasoning_tail : choice.content_tail;
    if (!tail.empty()) {
        piece.text.insert(0, tail);
        tail.clear();
    }
    const std::size_t whole = utf8_complete_prefix(piece.text);
    if (whole < piece.text.size()) {
        tail = piece.text.substr(whole);
        piece.text.resize(whole);
    }
    if (!is_valid_utf8(piece.text)) {
        piece.text = utf8_repaired(piece.text);
    }
    if (!piece.text.empty() || !piece.logprobs.empty()) {
        sink_(std::move(piece));
    }
}

/// Which call of the choice that piece belongs to; the number of calls so far for a new one.
std::size_t AnswerReader::call_number(const Choice& choice, const ToolDelta& delta) const {
    if (delta.index && !upstream_.rules.renumber_tool_calls) {
        return *delta.index;
    }
    for (std::size_t i = choice.calls.size(); i-- > 0;) {
        const Call& call = choice.calls[i];
        const bool same_id = delta.id.empty() || delta.id == call.id;
        // Without an index, what has neither id nor name goes on with the last call.
        const bool same_place = delta.index ? call.upstream_index == delta.index
                                            : !delta.id.empty() || delta.name.empty();
        if (same_id && same_place) {
            return i;
        }
    }
    return choice.calls.size();
}

void AnswerReader::send_tool_call(Choice& choice, std::uint32_t index, ToolDelta& delta) {
    const std::size_t number = call_number(choice, delta);
    if (number >= kToolCallsMax) {
        fail({Fault::corrupt, fmt::format("the model's server sent tool call number {}; at most {} "
                                          "are read",
                                          number, kToolCallsMax)});
        return;
    }
    if (number >= choice.calls.size()) {
        choice.calls.resize(number + 1);
    }
    job::ToolCallPiece piece;
    piece.choice = index;
    piece.index = static_cast<std::uint32_t>(number);
    Call& call = choice.calls[number];
    if (!call.opened) {
        const bool taken = std::ranges::any_of(
            choice.calls, [&](const Call& other) { return other.opened && other.id == delta.id; });
        // FLM makes ids of the time in seconds: two calls may share one.
        piece.id = delta.id.empty() ? fmt::format("call_{}_{}_{}", request_id_, index, number)
                   : taken          ? fmt::format("{}_{}", delta.id, number)
                                    : delta.id;
        call.opened = true;
        call.upstream_index = delta.index;
        call.id = std::move(delta.id);
    }
    if (!call.named && !delta.name.empty()) {
        call.named = true;
        piece.name = std::move(delta.name);
    }
    piece.arguments = std::move(delta.arguments);
    for (std::string* text : {&piece.id, &piece.name, &piece.arguments}) {
        if (!is_valid_utf8(*text)) {
            *text = utf8_repaired(*text);
        }
    }
    sink_(std::move(piece));
}

void AnswerReader::start() {
    if (!std::exchange(started_, true)) {
        sink_(job::Started{figures_.prompt_tokens.value_or(0)});
    }
}

job::FinishReason AnswerReader::reason_of(const Choice& choice) const {
    switch (choice.finish) {
        case Finish::length:
            return job::FinishReason::length;
        case Finish::tool_calls:
            return job::FinishReason::tool_calls;
        case Finish::cancelled:
            return job::FinishReason::cancelled;
        case Finish::none:
        case Finish::stop:
        case Finish::error:
            break;
    }
    if (!choice.calls.empty()) {
        return job::FinishReason::tool_calls;  // some say "stop" even so
    }
    if (upstream_.rules.never_says_length) {
        const bool alone = choices_.size() == 1;
        const std::uint32_t tokens =
            alone ? figures_.completion_tokens.value_or(choice.tokens) : choice.tokens;
        const std::uint32_t context = sum(figures_.prompt_tokens.value_or(0), tokens);
        if ((max_tokens_ && tokens >= *max_tokens_) ||
            (upstream_.context_tokens > 0 && context >= upstream_.context_tokens)) {
            return job::FinishReason::length;
        }
    }
    return job::FinishReason::stop;
}

void AnswerReader::send_end(Choice& choice, std::uint32_t index) {
    if (std::exchange(choice.end_sent, true)) {
        return;
    }
    for (const bool reasoning : {true, false}) {
        std::string& tail = reasoning ? choice.reasoning_tail : choice.content_tail;
        if (!tail.empty()) {
            sink_(job::Text{index, utf8_repaired(tail), reasoning, {}});
            tail.clear();
        }
    }
    sink_(job::ChoiceEnd{index, reason_of(choice), std::move(choice.stop_text)});
}

void AnswerReader::done() {
    for (std::uint32_t i = 0; i < choices_.size(); ++i) {
        send_end(choices_[i], i);
    }
    finished_ = true;
    completed_ = true;
    sink_(closing_figures());
}

job::Done AnswerReader::closing_figures() const {
    std::uint32_t tokens = 0;
    for (const Choice& choice : choices_) {
        tokens = sum(tokens, choice.tokens);
    }
    job::Done done;
    const std::uint32_t cached = figures_.cached_tokens.value_or(0);
    done.usage.prompt_tokens =
        figures_.prompt_tokens.value_or(sum(figures_.read_tokens.value_or(0), cached));
    done.usage.cached_tokens = std::min(cached, done.usage.prompt_tokens);
    done.usage.completion_tokens =
        figures_.completion_tokens.value_or(figures_.predicted_tokens.value_or(tokens));
    done.timings.prompt_tokens =
        figures_.read_tokens.value_or(done.usage.prompt_tokens - done.usage.cached_tokens);
    done.timings.prompt_ms = figures_.prompt_ms.value_or(0);
    done.timings.predicted_tokens =
        figures_.predicted_tokens.value_or(done.usage.completion_tokens);
    done.timings.predicted_ms = figures_.predicted_ms.value_or(0);
    return done;
}

void AnswerReader::on_end(const Status& status) {
    if (finished_) {
        return;
    }
    if (mode_ == Mode::error) {
        server_said_ = true;
        fail(error_of_status(status_, whole_, upstream_));
    } else if (mode_ == Mode::stream) {
        stream_ended(status);
    } else if (!status) {
        fail(mode_ == Mode::whole ? broken_off(status) : status.error());
    } else if (mode_ == Mode::whole) {
        take_whole();
    } else {
        fail({Fault::corrupt,
              "the model's server sent an empty answer; try again, or look at the "
              "lane's log"});
    }
}

void AnswerReader::stream_ended(const Status& status) {
    if (status) {
        // What is no whole piece is the beginning of one.
        sse_.finish([this](std::string_view data) {
            const bool good = data == kEndMark || read_chunk(data, chunk_) == ChunkShape::object;
            return good && take_data(data);
        });
    }
    if (finished_) {
        return;
    }
    if (choices_left_ == 0 && (upstream_.rules.end_may_be_missing || chunk_.is_native)) {
        done();
    } else {
        fail(broken_off(status));
    }
}

Error AnswerReader::broken_off(const Status& status) {
    if (status) {
        return {Fault::unavailable,
                "the model's server ended its answer in the middle; try again, or look at the "
                "lane's log"};
    }
    if (status.error().fault == Fault::cancelled) {
        return status.error();
    }
    return {status.error().fault,
            fmt::format("the answer ended in the middle: {}", status.error().message)};
}

void AnswerReader::take_whole() {
    const ChunkShape shape = read_chunk(whole_, chunk_);
    if (shape != ChunkShape::object || (!chunk_.error && chunk_.choices.empty())) {
        fail({Fault::corrupt, fmt::format("the model's server sent what is no answer: {}",
                                          quoted(whole_, upstream_))});
        return;
    }
    take_chunk();
    if (!finished_) {
        done();
    }
}

void AnswerReader::fail_with_report(const ServerError& report) {
    server_said_ = true;
    fail(error_of_report(report, upstream_));
}

void AnswerReader::fail(Error error) {
    finished_ = true;
    sink_(job::Failed{std::move(error)});
}

}  // namespace trilane::lane::upstream
