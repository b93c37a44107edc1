// `trilane run`: a chat in the terminal, or one answer, from a model in this process.
#include <fmt/core.h>

#include "app/answer.h"
#include "app/command_line.h"
#include "app/conversation.h"
#include "app/interrupt.h"
#include "app/line_editor.h"
#include "app/model_files.h"
#include "app/output.h"
#include "app/verbs.h"
#include "lane/native/native.h"

namespace trilane::app {
namespace {

constexpr std::size_t kPromptBytesMax = 16U << 20U;
constexpr std::uint32_t kStopPatienceMs = 1000;
constexpr std::string_view kDim = "\033[2m";
constexpr std::string_view kPlain = "\033[0m";

/// What the words of the command line mean.
struct Ask {
    ModelFile model;
    std::string prompt;
    bool chat = false;  ///< no prompt: a person at a terminal
};

Result<Ask> understand(const RunOptions& options) {
    std::string model = options.model;
    std::string prompt = options.second;
    if (!model.empty() || prompt.empty()) {
        if (model.empty() && names_model(options.first, options.model_dirs)) {
            model = options.first;
        } else {
            prompt = options.first;
        }
    } else {
        model = options.first;
    }
    Ask ask;
    TRILANE_TRY(ask.model, find_model(model.empty() ? kBundledName : model, options.model_dirs));
    const bool nothing_asked = prompt.empty();
    ask.chat = nothing_asked && stdin_is_terminal() && stdout_is_terminal();
    if (ask.chat) {
        return ask;
    }
    if (nothing_asked || prompt == "-") {
        TRILANE_TRY(prompt, read_stdin(kPromptBytesMax));
        // A pipe's last newline is the shell's, not the writer's.
        while (!options.raw && prompt.ends_with('\n')) {
            prompt.pop_back();
        }
    }
    if (prompt.empty()) {
        return fail(Fault::invalid,
                    "the prompt is empty; give one as an argument or on standard input");
    }
    ask.prompt = std::move(prompt);
    return ask;
}

Result<std::shared_ptr<lane::Resident>> load(const RunOptions& options, const ModelFile& model) {
    lane::NativeOptions native;
    native.model_path = model.path;
    native.model_id = model.id;
    native.engine.context_tokens = options.context_tokens;
    native.engine.slots = 1;
    native.engine.queue_max = 1;
    native.engine.threads = options.threads;
    native.engine.isa = options.isa;
    return lane::load_native(native);
}

/// Writes an answer as it comes. A terminal gets no control characters from a model.
class Printer {
public:
    explicit Printer(bool terminal) : terminal_(terminal) {}

    void write(std::string_view text, bool reasoning) {
        if (!terminal_) {
            // Who pipes the answer on wants the answer.
            failed_ = failed_ || (!reasoning && !print(text));
            return;
        }
        if (reasoning != dim_) {
            failed_ = failed_ || !print(reasoning ? kDim : kPlain);
            dim_ = reasoning;
        }
        failed_ = failed_ || !print(terminal_safe(text));
    }
    void end() { write("\n", false); }
    [[nodiscard]] bool failed() const { return failed_; }

private:
    bool terminal_;
    bool dim_ = false;
    bool failed_ = false;
};

Result<Answer> print_answer(lane::Resident& resident, job::Request request,
                            const InterruptWatch& watch) {
    Printer printer(stdout_is_terminal());
    AnswerHooks hooks;
    hooks.on_text = [&](std::string_view text, bool reasoning) { printer.write(text, reasoning); };
    hooks.interrupted = [&] { return watch.interrupted() || printer.failed(); };
    TRILANE_TRY(Answer given, answer(resident, std::move(request), hooks));
    if (!given.text.ends_with('\n')) {
        printer.end();
    }
    if (printer.failed()) {
        return fail(Fault::unavailable, "cannot write to standard output; is the disk full?");
    }
    return given;
}

Conversation conversation_from(const RunOptions& options, const ModelFile& model) {
    Conversation conversation;
    conversation.model_id = model.id;
    conversation.system = options.system;
    conversation.sampling = options.sampling;
    conversation.max_tokens = options.max_tokens;
    return conversation;
}

void add_message(Conversation& conversation, job::Role role, std::string text) {
    job::Message& message = conversation.messages.emplace_back();
    message.role = role;
    message.content = std::move(text);
}

Result<int> answer_once(const RunOptions& options, const Ask& ask, lane::Resident& resident) {
    Conversation conversation = conversation_from(options, ask.model);
    add_message(conversation, job::Role::user, ask.prompt);
    job::Request request = next_request(conversation);
    if (options.raw) {
        request.ask = job::Completion{ask.prompt};
    }
    const InterruptWatch watch;
    TRILANE_TRY(const Answer given, print_answer(resident, std::move(request), watch));
    if (given.interrupted) {
        return kExitInterrupted;
    }
    if (options.verbose) {
        print_error(figures_text(given.done) + '\n');
    }
    return 0;
}

std::string greeting(const job::ModelCard& card) {
    std::string text = fmt::format("{} ({}, {} parameters, context {} tokens)\n",
                                   printable(card.name.empty() ? card.id : card.name),
                                   printable(card.architecture), human_count(card.parameters),
                                   card.context_tokens);
    if (card.id == kBundledId) {
        text +=
            "A small story model: it tells small stories and gives short answers. Its facts are "
            "often wrong.\n";
    }
    return text + "/help lists the commands; Ctrl-D ends.\n";
}

/// Answers the person's last message. A failed one is taken back, so that the next can be asked.
Status answer_message(const RunOptions& options, Conversation& conversation,
                      lane::Resident& resident, InterruptWatch& watch) {
    watch.forget();
    auto given = print_answer(resident, next_request(conversation), watch);
    if (!given) {
        conversation.messages.pop_back();
        const bool too_long = given.error().fault == Fault::invalid;
        return fail(given.error().fault, "{}{}", given.error().message,
                    too_long ? "\n(/clear forgets the conversation so far)" : "");
    }
    add_message(conversation, job::Role::assistant, given->text);
    if (given->interrupted) {
        return {};
    }
    conversation.last = given->done;
    if (given->reason == job::FinishReason::length) {
        print_error("(cut: the answer reached its longest length)\n");
    }
    if (options.verbose) {
        print_error(figures_text(given->done) + '\n');
    }
    return {};
}

Result<int> chat(const RunOptions& options, const Ask& ask, lane::Resident& resident) {
    TRILANE_TRY_STATUS(print(greeting(resident.card())));
    Conversation conversation = conversation_from(options, ask.model);
    const std::string history = options.state_dir.empty() ? "" : options.state_dir + "/history";
    LineEditor editor(">>> ", history);
    InterruptWatch watch;
    while (auto line = editor.read_line()) {
        if (line->find_first_not_of(" \t") == std::string::npos) {
            continue;
        }
        if (is_command(*line)) {
            const auto reply = obey(*line, conversation);
            TRILANE_TRY_STATUS(print(reply ? reply->text : reply.error().message + '\n'));
            if (reply && reply->quit) {
                return 0;
            }
            continue;
        }
        add_message(conversation, job::Role::user, std::move(*line));
        if (const Status answered = answer_message(options, conversation, resident, watch);
            !answered) {
            print_error(answered.error().message + '\n');
        }
    }
    TRILANE_TRY_STATUS(print("\n"));
    return 0;
}

}  // namespace

Result<int> perform(const RunOptions& options) {
    TRILANE_TRY(const Ask ask, understand(options));
    TRILANE_TRY(const auto resident, load(options, ask.model));
    auto code = ask.chat ? chat(options, ask, *resident) : answer_once(options, ask, *resident);
    resident->stop(kStopPatienceMs);
    return code;
}

}  // namespace trilane::app
