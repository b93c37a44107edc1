// LocalModels: the scan, its snapshot, and the memory of headers.
#include <sys/stat.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "catalog/catalog.h"
#include "catalog/folder_watch.h"
#include "catalog/model_folders.h"
#include "catalog/model_header.h"

namespace trilane::catalog {
namespace {

/// What tells that a file is still the one that was read.
using FileState = std::tuple<std::uint64_t, std::int64_t, std::int64_t, std::uint64_t>;

std::optional<FileState> state_of(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        return std::nullopt;
    }
    return FileState{static_cast<std::uint64_t>(facts.st_size), facts.st_mtim.tv_sec,
                     facts.st_mtim.tv_nsec, static_cast<std::uint64_t>(facts.st_ino)};
}

struct RememberedHeader {
    FileState state;
    Result<ModelHeader> header;
};

using Headers = std::map<std::string, RememberedHeader>;

struct Findings {
    std::vector<Entry> entries;
    std::vector<std::string> problems;
};

bool same(const Entry& a, const Entry& b) {
    const auto key = [](const Entry& e) {
        return std::tie(e.id, e.path, e.more_paths, e.projector_path, e.bytes, e.purpose,
                        e.context_tokens, e.architecture, e.quantization, e.parameters, e.licence,
                        e.repository, e.added_unix_s);
    };
    return key(a) == key(b);
}

bool same(const Findings& a, const Findings& b) {
    return a.problems == b.problems &&
           std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                      [](const Entry& x, const Entry& y) { return same(x, y); });
}

/// Looks into every model that is found. Headers that are remembered and still hold are taken over
/// into `fresh`; the rest is forgotten.
Findings look_into(const std::vector<std::string>& directories, Headers& known, Headers& fresh) {
    const HeaderSource remembered = [&](const std::string& path) -> Result<ModelHeader> {
        const auto state = state_of(path);
        const auto again = fresh.find(path);
        if (again != fresh.end()) {
            return again->second.header;
        }
        const auto before = known.find(path);
        if (state && before != known.end() && before->second.state == *state) {
            return fresh.emplace(path, std::move(before->second)).first->second.header;
        }
        Result<ModelHeader> header = read_model_header(path);
        if (state) {
            fresh.emplace(path, RememberedHeader{*state, header});
        }
        return header;
    };
    Findings findings;
    for (const FoundModel& model : find_models(directories)) {
        auto entry = entry_of(model, remembered);
        if (entry) {
            findings.entries.push_back(std::move(*entry));
        } else {
            findings.problems.push_back(std::move(entry).error().message);
        }
    }
    return findings;
}

}  // namespace

class LocalModels::State {
public:
    explicit State(std::vector<std::string> folders) : directories(std::move(folders)) {}

    bool scan() {
        // One scan at a time, but nobody waits on the mutex while files are read.
        {
            std::unique_lock lock(mutex);
            idle.wait(lock, [this] { return !scanning; });
            scanning = true;
        }
        Headers fresh;
        auto found = std::make_shared<const Findings>(look_into(directories, headers, fresh));
        headers = std::move(fresh);
        const std::lock_guard lock(mutex);
        const bool changed = !same(*findings, *found);
        findings = std::move(found);
        scanning = false;
        idle.notify_one();
        return changed;
    }

    [[nodiscard]] std::shared_ptr<const Findings> latest() {
        const std::lock_guard lock(mutex);
        return findings;
    }

    const std::vector<std::string> directories;
    std::mutex mutex;
    std::condition_variable idle;
    bool scanning = false;
    std::shared_ptr<const Findings> findings = std::make_shared<const Findings>();
    Headers headers;  ///< of whoever scans
    std::unique_ptr<FolderWatch> watch;
};

LocalModels::LocalModels(std::vector<std::string> directories)
    : state_(std::make_unique<State>(std::move(directories))) {}

LocalModels::~LocalModels() {
    state_->watch.reset();
}

bool LocalModels::scan() {
    return state_->scan();
}

std::vector<Entry> LocalModels::list() const {
    return state_->latest()->entries;
}

std::vector<std::string> LocalModels::problems() const {
    return state_->latest()->problems;
}

Status LocalModels::watch(std::function<void()> changed) {
    if (state_->watch != nullptr) {
        return fail(Fault::internal, "the folders are watched already; report this");
    }
    State* state = state_.get();
    TRILANE_TRY(state_->watch, FolderWatch::start(state_->directories, [state, changed] {
                    if (state->scan() && changed) {
                        changed();
                    }
                }));
    return {};
}

}  // namespace trilane::catalog
