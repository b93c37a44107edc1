// The program of a child: where it is, and short runs of it that ask what it can do. Long runs are
// ChildProcess's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"
#include "lane/child/help_text.h"
#include "os/child.h"

namespace trilane::lane {

/// How long a program may take to say something about itself.
inline constexpr std::chrono::milliseconds kAskPatience{10'000};

/// The path of the first of `names` that is an executable file: a name with '/' as it stands, else
/// looked for in `directories`. **Errors:** not_found, with what was looked for and where.
Result<std::string> find_program(std::span<const std::string> names,
                                 std::span<const std::string> directories, std::string_view lane);

/// What a short run printed.
struct Printed {
    std::string text;  ///< lines as they came, both streams
    std::string json;  ///< standard output with its line breaks left out, which JSON does not need
    os::ChildExit exit;
};

/// Runs a program to its end. It is killed when `patience` is over or `cancel` is set.
/// **Errors:** not_found, unavailable (cannot be started), timeout, cancelled. Its exit status is
/// no error here.
Result<Printed> ask_program(os::ChildWatch& children, std::vector<std::string> argv,
                            std::vector<std::string> environment, const CancelToken& cancel,
                            std::chrono::milliseconds patience = kAskPatience);

/// An answer of a program that holds until its file changes. **Threads:** any; two that ask at the
/// same time may both run the program.
template <class T>
class OncePerVersion {
public:
    explicit OncePerVersion(std::string path) : path_(std::move(path)) {}

    Result<std::shared_ptr<const T>> get(const std::function<Result<T>()>& ask);
    /// The next get() asks again.
    void forget() {
        const std::lock_guard<std::mutex> lock(mutex_);
        known_.reset();
    }

private:
    const std::string path_;
    std::mutex mutex_;
    std::string stamp_;  // of the file when `known_` was asked for
    std::shared_ptr<const T> known_;
};

/// What changes when a file is replaced: size, time of modification and inode; "" = no such file.
std::string file_stamp(const std::string& path);

template <class T>
Result<std::shared_ptr<const T>> OncePerVersion<T>::get(const std::function<Result<T>()>& ask) {
    const std::string stamp = file_stamp(path_);
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (known_ != nullptr && stamp_ == stamp) {
            return known_;
        }
    }
    TRILANE_TRY(T fresh, ask());
    auto shared = std::make_shared<const T>(std::move(fresh));
    const std::lock_guard<std::mutex> lock(mutex_);
    stamp_ = stamp;
    known_ = shared;
    return shared;
}

}  // namespace trilane::lane
