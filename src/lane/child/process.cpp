#include "lane/child/process.h"

#include <utility>

#include "lane/child/gpu_memory.h"

namespace trilane::lane {
namespace {

/// How long a figure of its memory is good: reading it walks files that a busy driver serves.
constexpr std::chrono::milliseconds kObservedAge{1'000};

/// The command line for the log. Nothing secret is ever on it.
std::string as_text(const std::vector<std::string>& argv) {
    std::string text;
    for (const std::string& argument : argv) {
        text += (text.empty() ? "" : " ") + argument;
    }
    return text;
}

}  // namespace

struct ChildProcess::Observed {
    std::mutex mutex;
    std::chrono::steady_clock::time_point at{};
    std::uint64_t bytes = 0;
};

Result<std::shared_ptr<ChildProcess>> ChildProcess::start(os::ChildWatch& children,
                                                          os::ChildOptions options,
                                                          ChildNames names) {
    auto end = std::make_shared<End>();
    const std::shared_ptr<os::LogRing> log = options.log;
    log->note("starting " + as_text(options.argv));
    const auto newest = log->lines(0, 1);
    const std::uint64_t first_line = newest.empty() ? 0 : newest.back().number;
    auto heard = [end](const os::ChildExit& exit) {
        std::function<void()> hear;
        {
            const std::lock_guard<std::mutex> lock(end->mutex);
            end->exit = exit;
            hear = std::exchange(end->hear, nullptr);
        }
        end->changed.notify_all();
        if (hear) {
            hear();
        }
    };
    TRILANE_TRY(std::shared_ptr<os::Child> child,
                children.start(std::move(options), std::move(heard)));
    return std::shared_ptr<ChildProcess>(
        new ChildProcess(std::move(child), std::move(end), std::move(names), first_line));
}

ChildProcess::ChildProcess(std::shared_ptr<os::Child> child, std::shared_ptr<End> end,
                           ChildNames names, std::uint64_t first_line)
    : child_(std::move(child)),
      end_(std::move(end)),
      names_(std::move(names)),
      first_line_(first_line),
      observed_(std::make_unique<Observed>()) {}

ChildProcess::~ChildProcess() {
    on_end(nullptr);
    stop();
}

bool ChildProcess::ended() const {
    const std::lock_guard<std::mutex> lock(end_->mutex);
    return end_->exit.has_value();
}

bool ChildProcess::wait_ended(std::chrono::milliseconds patience) const {
    std::unique_lock<std::mutex> lock(end_->mutex);
    return end_->changed.wait_for(lock, patience, [this] { return end_->exit.has_value(); });
}

void ChildProcess::on_end(std::function<void()> hear) {
    {
        const std::lock_guard<std::mutex> lock(end_->mutex);
        if (!end_->exit.has_value()) {
            end_->hear = std::move(hear);
            return;
        }
    }
    if (hear) {
        hear();
    }
}

std::string ChildProcess::tail() const {
    std::string joined;
    std::vector<os::LogLine> lines = child_->log()->lines(first_line_, kTailLines + 1);
    // Our own line about the start may come late and says nothing of the end.
    std::erase_if(lines, [](const os::LogLine& line) { return line.text.starts_with("started "); });
    for (const os::LogLine& line : lines) {
        joined += (joined.empty() ? "" : " | ") + line.text;
    }
    return joined;
}

std::string ChildProcess::with_tail(std::string_view sentence) const {
    const std::string last = tail();
    return fmt::format("{}{}{}; see `trilane logs {}`", sentence, last.empty() ? "" : ": ", last,
                       names_.lane);
}

Error ChildProcess::end_error(std::string_view when) const {
    std::optional<os::ChildExit> exit;
    {
        const std::lock_guard<std::mutex> lock(end_->mutex);
        exit = end_->exit;
    }
    const std::string how = exit.has_value() ? exit->text() : "was given up";
    return {Fault::unavailable, with_tail(fmt::format("{} {}{}", names_.program, how, when))};
}

void ChildProcess::stop() {
    child_->terminate();
    if (!child_->wait_for(kTerminateGrace)) {
        child_->kill();
        if (!child_->wait_for(kReapPatience)) {
            child_->log()->note(
                fmt::format("process {} does not die although it was killed: a "
                            "driver holds it; its memory stays in use",
                            child_->pid()));
        }
    }
}

std::uint64_t ChildProcess::observed_bytes() const {
    const auto now = std::chrono::steady_clock::now();
    {
        const std::lock_guard<std::mutex> lock(observed_->mutex);
        if (observed_->at != std::chrono::steady_clock::time_point{} &&
            now - observed_->at < kObservedAge) {
            return observed_->bytes;
        }
        observed_->at = now;  // others take the old figure meanwhile
    }
    const std::uint64_t bytes = child_->resident_bytes() + gpu_bytes_of(child_->pid());
    const std::uint64_t held = ended() ? 0 : bytes;
    const std::lock_guard<std::mutex> lock(observed_->mutex);
    observed_->bytes = held;
    return held;
}

}  // namespace trilane::lane
