// spawn_child: one program in a new process, with pipes behind its output. Watches and reaps
// nothing: that is ChildWatch.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "os/child.h"
#include "os/unique_fd.h"

namespace trilane::os {

/// A program that runs. The caller reaps it.
struct Spawned {
    pid_t pid = -1;  ///< also its process group and session
    UniqueFd process;
    UniqueFd output;  ///< non-blocking ends to read, as `errors`
    UniqueFd errors;
    std::vector<std::string> remarks;  ///< wishes that the system did not grant
};

/// Returns when the program has replaced the new process's image, or why it could not.
/// The child dies with the calling **thread**, not only with the process.
/// **Threads:** any that has every signal blocked.
/// **Errors:** invalid (a NUL byte in an argument), not_found, unavailable.
Result<Spawned> spawn_child(const ChildOptions& options);

}  // namespace trilane::os
