// libFuzzer target `upstream`: arbitrary bytes of a server, in arbitrary pieces → events. Whatever
// comes, the events are well-formed and end with exactly one Done or Failed; and but for comments,
// they do not depend on where the bytes were cut.
//
// An input's first four bytes say what was asked and how the rest arrives: rules, request, cuts,
// status.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "lane/upstream/answer_reader.h"
#include "lane/upstream/answer_shaper.h"
#include "lane/upstream/sanity.h"

namespace {

namespace job = trilane::job;
using trilane::is_valid_utf8;
using namespace trilane::lane::upstream;

constexpr std::size_t kHeadBytes = 4;

/// Checks each event of one answer, and keeps what must not depend on cuts.
class Witness {
public:
    explicit Witness(const job::Request& request) : ended_(request.choices) {}

    void see(const job::Event& event) {
        TRILANE_CHECK(!over_);
        if (const auto* text = std::get_if<job::Text>(&event)) {
            TRILANE_CHECK(started_ && text->choice < ended_.size() && !ended_[text->choice]);
            TRILANE_CHECK(is_valid_utf8(text->text));
            TRILANE_CHECK(!text->text.empty() || !text->logprobs.empty());
            story_ += text->text;
        } else if (const auto* call = std::get_if<job::ToolCallPiece>(&event)) {
            TRILANE_CHECK(started_ && call->choice < ended_.size() && !ended_[call->choice]);
            TRILANE_CHECK(call->index < kToolCallsMax);
            TRILANE_CHECK(is_valid_utf8(call->id) && is_valid_utf8(call->name) &&
                          is_valid_utf8(call->arguments));
            story_ += call->id + call->name + call->arguments;
        } else if (const auto* end = std::get_if<job::ChoiceEnd>(&event)) {
            TRILANE_CHECK(started_ && end->choice < ended_.size() && !ended_[end->choice]);
            ended_[end->choice] = true;
            story_ += static_cast<char>('0' + static_cast<int>(end->reason));
        } else if (const auto* done = std::get_if<job::Done>(&event)) {
            for (const bool ended : ended_) {
                TRILANE_CHECK(ended);
            }
            TRILANE_CHECK(done->usage.cached_tokens <= done->usage.prompt_tokens);
            TRILANE_CHECK(done->timings.prompt_ms >= 0 && done->timings.predicted_ms >= 0);
            over_ = true;
        } else if (const auto* failed = std::get_if<job::Failed>(&event)) {
            TRILANE_CHECK(!failed->error.message.empty() && is_valid_utf8(failed->error.message));
            TRILANE_CHECK(failed->error.message.find("sk-secret") == std::string::npos);
            story_ += trilane::fault_name(failed->error.fault);
            over_ = true;
        } else {
            TRILANE_CHECK(!started_);
            started_ = true;
        }
    }
    [[nodiscard]] bool over() const { return over_; }
    [[nodiscard]] const std::string& story() const { return story_; }

private:
    std::vector<bool> ended_;
    bool started_ = false;
    bool over_ = false;
    std::string story_;
};

struct Case {
    Upstream server;
    job::Request request;
    unsigned status = 200;
    std::string_view content_type;
    std::string_view body;
    bool lost = false;
};

std::string read(const Case& one, std::size_t piece_bytes) {
    const WrittenRequest asked = write_request(one.request, one.server).value();
    Witness of_answer(one.request);
    Witness of_job(one.request);
    AnswerShaper shaper(one.request, one.server.rules,
                        [&](const job::Event& event) { of_job.see(event); });
    bool wanted = true;
    AnswerReader reader(one.server, one.request, asked, [&](const job::Event& event) {
        of_answer.see(event);
        wanted = wanted && shaper.on_event(event) == Next::more;
    });
    reader.on_head(one.status, one.content_type);
    for (std::size_t at = 0; at < one.body.size(); at += piece_bytes) {
        const std::string piece(one.body.substr(at, piece_bytes));
        reader.on_body(piece);
    }
    if (one.lost) {
        reader.on_end(trilane::fail(trilane::Fault::unavailable, "lost"));
    } else {
        reader.on_end({});
    }
    TRILANE_CHECK(of_answer.over() && reader.finished());
    return of_answer.story();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < kHeadBytes) {
        return 0;
    }
    const auto bit = [&](std::size_t byte, unsigned n) { return ((data[byte] >> n) & 1U) != 0; };
    Case one;
    one.server.model = "m";
    one.server.api_key = "sk-secret";
    one.server.context_tokens = 64;
    trilane::lane::UpstreamRules& rules = one.server.rules;
    rules.renumber_tool_calls = bit(0, 0);
    rules.never_says_length = bit(0, 1);
    rules.stops_ignored = bit(0, 2);
    rules.end_may_be_missing = bit(0, 3);
    rules.check_model = bit(0, 4);
    rules.max_tokens_min = bit(0, 5) ? 2 : 0;
    one.lost = bit(0, 6);
    one.request.id = "r";
    one.request.ask = job::Chat{};
    one.request.choices = bit(1, 0) ? 3 : 1;
    one.request.stop = {"ab", "b\n"};
    if (bit(1, 1)) {
        one.request.top_logprobs = 1;
    }
    if (bit(1, 2)) {
        one.request.max_tokens = 1;
    }
    constexpr std::array kStatuses = {200U, 400U, 401U, 404U, 429U, 500U, 503U, 301U};
    one.status = kStatuses[bit(3, 7) ? data[3] % kStatuses.size() : 0];
    constexpr std::array<std::string_view, 3> kTypes = {"text/event-stream", "application/json",
                                                        ""};
    one.content_type = kTypes[data[3] % kTypes.size()];
    one.body = {reinterpret_cast<const char*>(data + kHeadBytes), size - kHeadBytes};
    const std::string whole = read(one, size);
    if (const std::string pieces = read(one, 1U + data[2]); pieces != whole) {
        std::fprintf(stderr, "whole:\n%s\nin pieces:\n%s\n", whole.c_str(), pieces.c_str());
        std::abort();
    }
    (void)judge_sanity(one.body);
    return 0;
}
