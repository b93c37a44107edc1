// LineEditor: a line typed at a terminal, with editing and a history that outlives the program.
// Wraps libedit. Not for input that is no terminal.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace trilane::app {

class LineEditor {
public:
    /// `history_path` is read now and written as lines come; empty = none. A history that cannot be
    /// kept is no error: the chat goes on without.
    LineEditor(std::string prompt, std::string history_path);
    ~LineEditor();
    LineEditor(const LineEditor&) = delete;
    LineEditor& operator=(const LineEditor&) = delete;

    /// The next line without its newline; nullopt at the end (Ctrl-D). Ctrl-C gives an empty line.
    std::optional<std::string> read_line();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace trilane::app
