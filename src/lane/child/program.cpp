#include "lane/child/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <optional>
#include <utility>

namespace trilane::lane {
namespace {

/// Of one short run; lists of models are long.
constexpr std::size_t kPrintedBytesMax = std::size_t{8} << 20U;
constexpr std::chrono::milliseconds kProgramPoll{10};
constexpr std::chrono::milliseconds kProgramReapPatience{2'000};

bool is_program(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
}

template <class Texts>
std::string joined(const Texts& texts, std::string_view between) {
    std::string all;
    for (const auto& text : texts) {
        all += (all.empty() ? "" : std::string(between)) + std::string(text);
    }
    return all;
}

/// The end of a short run, as the watch reports it.
struct End {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<os::ChildExit> exit;
};

/// Waits for the end of the run, the cancel token or the deadline.
Status await_end(End& end, const CancelToken& cancel, std::chrono::milliseconds patience,
                 const std::string& program) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::unique_lock<std::mutex> lock(end.mutex);
    while (!end.exit.has_value()) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "{} was stopped, for it was cancelled", program);
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            return fail(Fault::timeout, "{} did not end within {} ms; run it by hand to see why",
                        program, patience.count());
        }
        end.changed.wait_for(lock, kProgramPoll);
    }
    return {};
}

Printed printed_by(const os::LogRing& log, const os::ChildExit& exit) {
    Printed printed;
    printed.exit = exit;
    for (const os::LogLine& line : log.lines()) {
        printed.text += line.text;
        printed.text += '\n';
        if (!line.error_stream) {
            printed.json += line.text;
        }
    }
    return printed;
}

}  // namespace

Result<std::string> find_program(std::span<const std::string> names,
                                 std::span<const std::string> directories, std::string_view lane) {
    for (const std::string& name : names) {
        if (name.find('/') != std::string::npos) {
            if (is_program(name)) {
                return name;
            }
            continue;
        }
        for (const std::string& directory : directories) {
            std::string path = directory + "/" + name;
            if (!directory.empty() && is_program(path)) {
                return path;
            }
        }
    }
    return fail(Fault::not_found,
                "lane {}: there is no program {} (looked in {}); install it, or give its path as "
                "`program`",
                lane, joined(names, " or "),
                directories.empty() ? std::string("no directory") : joined(directories, ", "));
}

Result<Printed> ask_program(os::ChildWatch& children, std::vector<std::string> argv,
                            std::vector<std::string> environment, const CancelToken& cancel,
                            std::chrono::milliseconds patience) {
    auto end = std::make_shared<End>();
    auto log = std::make_shared<os::LogRing>(kPrintedBytesMax);
    const std::string program = argv.empty() ? std::string() : argv.front();
    os::ChildOptions options;
    options.argv = std::move(argv);
    options.environment = std::move(environment);
    options.log = log;
    TRILANE_TRY(const std::shared_ptr<os::Child> child,
                children.start(std::move(options), [end](const os::ChildExit& exit) {
                    const std::lock_guard<std::mutex> lock(end->mutex);
                    end->exit = exit;
                    end->changed.notify_all();
                }));
    if (Status ended = await_end(*end, cancel, patience, program); !ended) {
        child->kill();
        child->wait_for(kProgramReapPatience);
        return tl::unexpected(std::move(ended).error());
    }
    const std::lock_guard<std::mutex> lock(end->mutex);
    return printed_by(*log, *end->exit);
}

std::string file_stamp(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return {};
    }
    return fmt::format("{}:{}:{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

}  // namespace trilane::lane
