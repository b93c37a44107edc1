// Library: what a running daemon does with its models' files: describes them, gets more, deletes
// them, and keeps further names for them. An interface, so that the gateway is tested without disks
// and networks. Which models there are to be asked is the plane's to say.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "catalog/pull.h"

namespace trilane::catalog {

inline constexpr std::size_t kFurtherNamesMax = 1024;
/// Pulls that go on at once, and how many more may wait.
inline constexpr std::size_t kPullsAtOnce = 2;
inline constexpr std::size_t kPullsWaitingMax = 16;
/// Questions to hubs that wait for the one thread that asks them.
inline constexpr std::size_t kLookupsWaitingMax = 16;

/// Another name of a model, with what is said and set when it is asked for by that name.
struct FurtherName {
    std::string name;
    std::string model;       ///< an id
    std::string system;      ///< said first, unless the client says something of the kind
    std::string parameters;  ///< JSON text of an API's own; "" = none
    std::string licence;
    std::int64_t added_unix_s = 0;
    bool pulled = false;  ///< the model was pulled by this name
};

/// What a model's own files say of it.
struct Description {
    std::string template_text;  ///< chat template; "" = it has none
    std::string metadata;       ///< of the first file, as a JSON object; "" = it has none
};

/// How a pull is getting on.
struct PullNews {
    std::string phase;   ///< "choosing", "downloading", "waiting", "checking"
    std::string model;   ///< the id it will have; "" = not chosen yet
    std::string file;    ///< the one under way
    std::string sha256;  ///< of the first file; "" = the hub does not say
    std::uint64_t total_bytes = 0;
    std::uint64_t done_bytes = 0;
    double bytes_per_s = 0;
};

struct PullAsk {
    std::string reference;  ///< as parse_reference takes it
    std::string id;         ///< "" = by repository and variant
    bool force = false;     ///< download again what is there
    std::string name;       ///< a further name for what comes; "" = none
};

/// Who follows a pull. Called on a thread of the library's, one call at a time; must not wait.
/// After its ticket has gone at most one more call comes.
struct PullListener {
    std::function<void(const PullNews&)> on_news;
    std::function<void(const Result<Entry>&)> on_end;  ///< the last call
};

/// Somebody's interest in a pull. When the last one goes, the pull stops; what has arrived is kept
/// for the next.
class PullTicket {
public:
    PullTicket() = default;
    virtual ~PullTicket() = default;
    PullTicket(const PullTicket&) = delete;
    PullTicket& operator=(const PullTicket&) = delete;
};

/// **Threads:** every function from any thread; none waits for a disk or a network. Callbacks come
/// on threads of the library's; they are dropped uncalled when it stops.
/// **Errors:** that a callback hears of: exhausted means that there is no room, on the disk or
/// among the names; unavailable also that too much waits.
class Library {
public:
    virtual ~Library() = default;

    /// The models whose files are on this machine.
    [[nodiscard]] virtual std::vector<Entry> list() const = 0;
    /// Reads the files of one of them. `whole`: with the long lists, such as the vocabulary.
    /// **Errors:** not_found, corrupt.
    virtual void describe(std::string id, bool whole,
                          std::function<void(Result<Description>)> done) = 0;
    /// Which of them is the file with this SHA-256. **Errors:** not_found.
    virtual void find_by_digest(std::string sha256,
                                std::function<void(Result<std::string>)> done) = 0;

    [[nodiscard]] virtual std::vector<FurtherName> further_names() const = 0;
    [[nodiscard]] virtual std::optional<FurtherName> further_name(std::string_view name) const = 0;
    /// Keeps a further name, in place of one that is the same. The caller knows that the model is
    /// there and that no model has that name. **Errors:** exhausted, unavailable (disk).
    virtual void add_name(FurtherName name, std::function<void(Status)> done) = 0;
    /// **Errors:** not_found, unavailable.
    virtual void remove_name(std::string name, std::function<void(Status)> done) = 0;

    /// Pulls, or joins the pull of the same that is under way. `listener.on_end` hears how it
    /// ended.
    /// **Errors:** invalid (the reference), exhausted (too many pulls wait), unavailable.
    virtual Result<std::unique_ptr<PullTicket>> pull(PullAsk ask, PullListener listener) = 0;
    /// Asks the hub which variants a repository has, best quality first.
    /// **Errors:** as parse_reference and list_variants; unavailable.
    virtual void variants(std::string reference,
                          std::function<void(Result<std::vector<Variant>>)> done) = 0;
    /// The pulls under way, as last heard, by their references.
    [[nodiscard]] virtual std::vector<std::pair<std::string, PullNews>> pulls() const = 0;

    /// Has the model unloaded, deletes its files, and forgets its further names.
    /// **Errors:** not_found, invalid (it is not in our folder), unavailable.
    virtual void remove(std::string id, std::function<void(Status)> done) = 0;

    /// Breaks off what is under way and waits for its end; afterwards nothing is called any more
    /// and nothing is begun. **Threads:** not those of callbacks.
    virtual void stop() = 0;
};

/// What the library of files needs to know and has to tell.
struct LibraryOptions {
    std::string directory;  ///< models folder; "" = there is none: nothing can be pulled or named
    Hub hub;
    std::function<std::vector<Entry>()> entries;  ///< the catalogue's, as last scanned
    /// Which of a repository's variants is taken. Empty = choose_variant's own choice.
    std::function<Result<Variant>(std::vector<Variant>, const Reference&)> choose;
    std::function<void(const std::string& id)> unload;    ///< before its files go
    std::function<void()> changed;                        ///< files or names are others now
    std::uint64_t spare_bytes = std::uint64_t{1} << 30U;  ///< of disk to leave free
    std::function<void(std::string_view)> log;  ///< hears what is wrong with the file of names
};

/// Reads the names that are kept in the folder. **Threads:** starts kPullsAtOnce + 2; they end with
/// the library, which stops what is under way.
std::unique_ptr<Library> open_library(LibraryOptions options);

/// Lower-case hexadecimal.
std::string sha256_of_text(std::string_view text);

}  // namespace trilane::catalog
