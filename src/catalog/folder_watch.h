// FolderWatch: notices that something changed in some folders or in the folders in them, and says
// so once it has been quiet for a moment. Not what changed: who is told looks for himself.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace trilane::catalog {

class FolderWatch {
public:
    /// So long nothing may have changed before `changed` is called, or so long at most after the
    /// first change (files that are written for hours must not hide the others).
    static constexpr std::chrono::milliseconds kQuiet{300};
    static constexpr std::chrono::milliseconds kQuietMax{10'000};
    static constexpr std::size_t kWatchesMax = 4096;

    /// Folders that do not exist yet are waited for. `changed` is called on a thread of the watch's
    /// own, also once at its start, for what changed before it watched.
    /// **Errors:** exhausted (the system's limit on inotify).
    static Result<std::unique_ptr<FolderWatch>> start(std::vector<std::string> folders,
                                                      std::function<void()> changed);
    ~FolderWatch();  ///< waits for a call of `changed` that runs
    FolderWatch(const FolderWatch&) = delete;
    FolderWatch& operator=(const FolderWatch&) = delete;

private:
    class Watching;
    explicit FolderWatch(std::unique_ptr<Watching> watching);
    std::unique_ptr<Watching> watching_;
};

}  // namespace trilane::catalog
