#include "lane/child/process.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "lane/child/gpu_memory.h"

namespace trilane::lane {
namespace {

/// The command line for the log. Nothing secret is ever on it.
std::string as_text(const std::vector<std::string>& argv) {
    std::string text;
    for (const std::string& argument : argv) {
        text += (text.empty() ? "" : " ") + argument;
    }
    return text;
}

/// The files among the arguments, as /proc/<pid>/maps would name them.
std::vector<std::string> files_among(const std::vector<std::string>& argv) {
    namespace fs = std::filesystem;
    std::vector<std::string> files;
    for (std::size_t i = 1; i < argv.size(); ++i) {
        std::error_code error;
        if (argv[i].starts_with('/') && fs::is_regular_file(argv[i], error)) {
            const fs::path real = fs::canonical(argv[i], error);
            if (!error) {
                files.push_back(real.string());
            }
        }
    }
    return files;
}

/// Reads its files: may take long.
plan::Observed look_at(const os::Child& child, const std::vector<std::string>& files) {
    const GpuBytes on_gpus = gpu_bytes_of(child.pid());
    plan::Observed held;
    held.own_bytes = child.resident_bytes();
    held.gpu_bytes = on_gpus.system;
    held.vram_bytes = on_gpus.vram;
    held.file_bytes = child.file_bytes(files);
    return held;
}

/// What it holds now may lie behind what was seen, but one that has ended holds nothing.
MemoryWatch::Seen seen_of(const os::Child& child, const MemoryWatch::Subject& memory) {
    MemoryWatch::Seen seen = memory.last();
    if (child.exit().has_value()) {
        seen.held = {};
    }
    return seen;
}

}  // namespace

Result<std::shared_ptr<ChildProcess>> ChildProcess::start(os::ChildWatch& children,
                                                          MemoryWatch& memory,
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
    std::vector<std::string> files = files_among(options.argv);
    TRILANE_TRY(std::shared_ptr<os::Child> child,
                children.start(std::move(options), std::move(heard)));
    auto subject =
        memory.watch([child, files = std::move(files)] { return look_at(*child, files); });
    return std::shared_ptr<ChildProcess>(new ChildProcess(
        std::move(child), std::move(end), std::move(names), std::move(subject), first_line));
}

ChildProcess::ChildProcess(std::shared_ptr<os::Child> child, std::shared_ptr<End> end,
                           ChildNames names, std::shared_ptr<const MemoryWatch::Subject> memory,
                           std::uint64_t first_line)
    : child_(std::move(child)),
      end_(std::move(end)),
      names_(std::move(names)),
      first_line_(first_line),
      memory_(std::move(memory)) {}

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
    // Others of the lane print into the same log.
    for (const os::LogLine& line :
         child_->log()->lines_of(child_->pid(), first_line_, kTailLines)) {
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
            child_->log()->note(fmt::format("process {} does not die although it was killed: a "
                                            "driver holds it; its memory stays in use",
                                            child_->pid()),
                                child_->pid());
        }
    }
}

MemoryWatch::Seen ChildProcess::seen() const {
    return seen_of(*child_, *memory_);
}

std::function<plan::Observed()> ChildProcess::observer() const {
    return [child = child_, memory = memory_] { return seen_of(*child, *memory).held; };
}

}  // namespace trilane::lane
