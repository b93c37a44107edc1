// Downloads: pulls that clients have begun and do not wait for; they ask for the list instead. The
// pulls themselves are the library's.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/library.h"
#include "dialect/lemonade/lemonade.h"

namespace trilane::gateway {

/// What is told of a pull after `news`, when it was `at` before.
dialect::lemonade::Progress advanced(dialect::lemonade::Progress at, const catalog::PullNews& news);

/// **Threads:** any.
class Downloads {
public:
    /// Kept in the list; those that have ended go first.
    static constexpr std::size_t kMax = 64;

    /// Begins a pull, or goes on with one of the same model that was stopped.
    /// **Errors:** as Library::pull; exhausted: the list is full of pulls under way.
    Result<dialect::lemonade::Download> start(catalog::Library& library, const std::string& model,
                                              catalog::PullAsk ask);
    [[nodiscard]] std::vector<dialect::lemonade::Download> list() const;
    /// Stops a pull under way; `status` is what the list then says of it. One that has ended stays
    /// as it is. **Errors:** not_found.
    Result<dialect::lemonade::Download> stop(std::string_view id, std::string_view status);
    /// Stops it and forgets it. False when there is none.
    bool remove(std::string_view id);

private:
    struct Job {
        std::size_t number = 0;  ///< of this attempt: news of earlier ones are no longer its own
        dialect::lemonade::Download download;
        std::unique_ptr<catalog::PullTicket> ticket;
    };
    struct Table {
        std::mutex mutex;
        std::size_t begun = 0;
        std::vector<Job> jobs;  ///< the oldest first

        Job* find(std::string_view id);
        Job* find(std::size_t number);
    };
    static catalog::PullListener listener_of(const std::shared_ptr<Table>& table,
                                             std::size_t number);
    Status make_room();

    const std::shared_ptr<Table> table_ = std::make_shared<Table>();
};

}  // namespace trilane::gateway
