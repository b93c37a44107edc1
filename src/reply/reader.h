// ReplyReader: the text that a model generates, piece by piece → answer, thoughts and calls of
// tools. Knows the marks of every family, whatever borders the pieces have. What looks like a call
// and is none (no JSON, a tool that nobody offered) stays text.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "job/job.h"
#include "reply/call_head.h"
#include "reply/call_object.h"
#include "reply/parameters.h"
#include "reply/style.h"

namespace trilane::reply {

using Piece = std::variant<job::Text, job::ToolCallPiece>;

/// "call_" and 24 letters and digits that nobody has had.
std::string random_call_id();

struct ReaderOptions {
    /// What may be called; must outlive the reader. None: calls are not looked for.
    std::span<const job::Tool> tools;
    bool in_thought = false;  ///< the prompt has opened the thoughts
    bool only_one_call = false;
    bool thoughts_may_follow = true;  ///< the answer may begin with thoughts
    std::function<std::string()> new_id = random_call_id;
};

class ReplyReader {
public:
    ReplyReader(Style style, ReaderOptions options);

    /// Pieces of choice 0. Texts that end with whole characters give such texts.
    std::vector<Piece> feed(std::string_view text);
    /// What was held back; the answer has ended. A call that was cut off stays cut off.
    std::vector<Piece> finish();

    /// Calls made so far.
    [[nodiscard]] std::uint32_t calls() const { return calls_; }
    /// The only call that was wanted is there: nothing more will be read.
    [[nodiscard]] bool is_complete() const { return state_ == State::complete; }

private:
    enum class State {
        beginning,  ///< thoughts, a bare call or an answer
        thought,
        answer,
        block,       ///< inside the marks of calls, between two of them
        object,      ///< a call as one JSON object
        arguments,   ///< JSON behind a head
        parameters,  ///< tags behind a head
        broken,      ///< arguments that are no JSON: as they come, up to the end of the block
        complete,
    };

    bool step();
    bool read_beginning();
    bool read_thought();
    bool read_answer();
    bool read_block();
    bool read_closer(std::string_view closer);
    bool read_between();
    bool read_head(const CallHead& head);
    bool read_object();
    bool read_arguments();
    bool read_parameters();
    bool read_broken();

    [[nodiscard]] bool is_tool(std::string_view name) const;
    [[nodiscard]] bool may_become_mark() const;
    void take(std::size_t bytes);
    void open_block(const Opener& opener);
    void begin_object(bool bare);
    void begin_call(const std::string& name);
    void end_call();
    void refuse();

    void say(std::string_view text, bool reasoning);
    void say_answer(std::string_view text);
    void add_arguments(std::string arguments);

    Style style_;
    ReaderOptions options_;
    std::vector<Opener> openers_;
    std::vector<std::string_view> closers_;
    State state_ = State::beginning;
    std::string text_;  // not yet read
    std::string raw_;   // read, and given back as text if it turns out to be no call
    std::optional<CallObject> object_;
    std::optional<ArgumentsObject> arguments_;
    std::optional<Parameters> parameters_;
    std::vector<Piece> pieces_;
    std::uint32_t calls_ = 0;
    bool ending_ = false;       // no more text will come
    bool answered_ = false;     // some text of the answer is out
    bool drops_space_ = false;  // white space before the next text counts only between texts
    bool thought_ = false;      // some thought is out
    bool in_list_ = false;      // of the block
    bool called_in_block_ = false;
    bool bare_ = false;       // the block has no marks
    bool is_closed_ = false;  // its end has come; the next block may begin
};

}  // namespace trilane::reply
