#include "app/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

namespace trilane::app {
namespace {

constexpr int kHistoryLines = 1000;

/// Ctrl-C while typing: drops the line.
unsigned char drop_line(EditLine* editor, int /*key*/) {
    const LineInfoW* line = el_wline(editor);  // counts characters, as the two calls below do
    el_cursor(editor, static_cast<int>(line->lastchar - line->cursor));
    el_deletestr(editor, static_cast<int>(line->lastchar - line->buffer));
    el_insertstr(editor, "\n");  // a line of nothing would be the end of input
    std::fputs("^C\n", stdout);
    return CC_NEWLINE;
}

/// The editor counts characters, so it must know how bytes make them. No other thread of the
/// program looks at the locale.
void use_utf8() {
    // NOLINTBEGIN(concurrency-mt-unsafe)
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
        std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    // NOLINTEND(concurrency-mt-unsafe)
}

}  // namespace

struct LineEditor::State {
    std::string prompt;
    std::string history_path;
    EditLine* editor = nullptr;
    History* history = nullptr;
    HistEvent event{};

    /// What was typed is for its writer's eyes.
    void keep_private() const { ::chmod(history_path.c_str(), S_IRUSR | S_IWUSR); }

    void open_history() {
        history = history_init();
        ::history(history, &event, H_SETSIZE, kHistoryLines);
        ::history(history, &event, H_SETUNIQUE, 1);
        el_set(editor, EL_HIST, ::history, history);
        if (!history_path.empty()) {
            std::error_code ignored;
            std::filesystem::create_directories(std::filesystem::path(history_path).parent_path(),
                                                ignored);
            ::history(history, &event, H_LOAD, history_path.c_str());
        }
    }

    void remember(const char* line) {
        ::history(history, &event, H_ENTER, line);
        if (!history_path.empty() &&
            ::history(history, &event, H_SAVE, history_path.c_str()) != -1) {
            keep_private();
        }
    }
};

LineEditor::LineEditor(std::string prompt, std::string history_path)
    : state_(std::make_unique<State>()) {
    use_utf8();
    state_->prompt = std::move(prompt);
    state_->history_path = std::move(history_path);
    state_->editor = el_init("trilane", stdin, stdout, stderr);
    EditLine* editor = state_->editor;
    el_set(editor, EL_CLIENTDATA, state_.get());
    el_set(
        editor, EL_PROMPT, +[](EditLine* asking) {
            State* state = nullptr;
            el_get(asking, EL_CLIENTDATA, &state);
            return state->prompt.data();
        });
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_SIGNAL, 0);
    // While a line is edited Ctrl-C is a key; while an answer runs it is a signal again.
    el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
    el_set(editor, EL_ADDFN, "trilane-drop-line", "Drop the line", drop_line);
    el_set(editor, EL_BIND, "^C", "trilane-drop-line", nullptr);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_set(editor, EL_BIND, "^W", "ed-delete-prev-word", nullptr);
    el_set(editor, EL_BIND, "\\e[1~", "ed-move-to-beg", nullptr);
    el_set(editor, EL_BIND, "\\e[4~", "ed-move-to-end", nullptr);
    el_set(editor, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
    el_set(editor, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
    el_set(editor, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
    state_->open_history();
}

LineEditor::~LineEditor() {
    if (state_->history != nullptr) {
        history_end(state_->history);
    }
    if (state_->editor != nullptr) {
        el_end(state_->editor);
    }
}

std::optional<std::string> LineEditor::read_line() {
    int length = 0;
    errno = 0;
    const char* line = el_gets(state_->editor, &length);
    if (line == nullptr || length <= 0) {
        // A signal is no end: Ctrl-C in the moment before the terminal is ours, or kill -INT.
        return errno == EINTR ? std::optional<std::string>(std::string()) : std::nullopt;
    }
    std::string text(line, static_cast<std::size_t>(length));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.pop_back();
    }
    if (text.find_first_not_of(" \t") != std::string::npos) {
        state_->remember(text.c_str());
    }
    return text;
}

}  // namespace trilane::app
