// Pull: from a chosen variant to a model in its place.
#include "catalog/pull.h"

#include <sys/stat.h>

#include <ctime>
#include <filesystem>
#include <set>

#include "catalog/download.h"
#include "catalog/file_names.h"
#include "catalog/model_folders.h"
#include "catalog/model_header.h"
#include "catalog/part_file.h"
#include "catalog/progress_meter.h"
#include "catalog/staging.h"
#include "catalog/web.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kVariantFilesMax = kShardsMax + 8;

struct Planned {
    RemoteFile remote;
    ManifestFile local;
};

class Pulling {
public:
    Pulling(const Hub& hub, const Reference& reference, const Variant& variant,
            const PullOptions& options)
        : hub_(hub),
          reference_(reference),
          variant_(variant),
          options_(options),
          web_(hub.connect_timeout, hub.silence_timeout),
          meter_(variant.bytes(), options.on_progress) {}

    Result<Entry> run();

private:
    Status plan();
    Result<std::optional<Entry>> already_there() const;
    Status check_space(const Staging& staging);
    Status fetch(const Staging& staging, const Planned& file);
    Status check(const std::string& path, PartFile part, const Planned& file);
    Result<Entry> place(Staging& staging);
    [[nodiscard]] Manifest manifest() const;
    [[nodiscard]] Error stopped() const;
    [[nodiscard]] std::uint64_t arrived_bytes(const Staging& staging) const;

    const Hub& hub_;
    const Reference& reference_;
    const Variant& variant_;
    const PullOptions& options_;
    Web web_;
    ProgressMeter meter_;
    std::string id_;
    std::string commit_;
    std::vector<Planned> files_;
    std::uint64_t settled_bytes_ = 0;  ///< of files that are whole
};

std::uint64_t size_of(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode)
               ? static_cast<std::uint64_t>(facts.st_size)
               : 0;
}

Status Pulling::plan() {
    TRILANE_TRY_STATUS(check_hub(hub_));
    id_ = options_.id.empty() ? id_of(reference_.repository, variant_.name) : options_.id;
    TRILANE_TRY_STATUS(check_id(id_));
    if (variant_.files.empty() ||
        variant_.files.size() + variant_.companions.size() > kVariantFilesMax) {
        return fail(Fault::invalid, "the variant '{}' has {} files; choose another one",
                    shown(variant_.name), variant_.files.size() + variant_.companions.size());
    }
    std::set<std::string> names;
    const auto add = [&](const RemoteFile& remote, bool projector) -> Status {
        TRILANE_TRY_STATUS(check_remote_path(remote.path));
        std::string name = safe_file_name(base_name(remote.path));
        if (!is_model_file(name) || is_projector(name) != projector || !names.insert(name).second) {
            return fail(Fault::corrupt,
                        "the file '{}' cannot stand beside the others; name another variant",
                        shown(remote.path));
        }
        files_.push_back({remote, {name, remote.path, remote.bytes, remote.sha256, projector}});
        return {};
    };
    for (const RemoteFile& file : variant_.files) {
        TRILANE_TRY_STATUS(add(file, false));
    }
    for (const RemoteFile& file : variant_.companions) {
        TRILANE_TRY_STATUS(add(file, true));
    }
    return {};
}

Manifest Pulling::manifest() const {
    Manifest manifest;
    manifest.repository = reference_.repository;
    manifest.revision = reference_.revision;
    manifest.commit = commit_;
    manifest.variant = variant_.name;
    for (const Planned& file : files_) {
        manifest.files.push_back(file.local);
    }
    return manifest;
}

/// The entry, when the very same files are in place already.
Result<std::optional<Entry>> Pulling::already_there() const {
    const std::string place = options_.directory + '/' + id_;
    std::error_code ignored;
    const bool loose = fs::exists(place + ".gguf", ignored);
    if (options_.force || (!fs::exists(place, ignored) && !loose)) {
        return std::optional<Entry>();
    }
    const auto there = read_manifest(place);
    const std::vector<ManifestFile> wanted = manifest().files;
    if (there && there->repository == reference_.repository && there->files == wanted) {
        const auto found = find_models_in_folder(place);
        auto entry = found.size() == 1 ? entry_of(found.front(), read_model_header)
                                       : Result<Entry>(fail(Fault::corrupt, "not one model"));
        if (entry) {
            return std::optional<Entry>(std::move(*entry));
        }
    }
    return fail(Fault::invalid,
                "{} is there already{}; use --force to replace it, or --id to give the new one "
                "another name",
                loose ? place + ".gguf" : place,
                there && !there->repository.empty()
                    ? fmt::format(", from {}@{}", shown(there->repository), shown(there->revision))
                    : "");
}

/// What the staging holds already, holes not counted.
std::uint64_t Pulling::arrived_bytes(const Staging& staging) const {
    std::uint64_t bytes = 0;
    for (const Planned& file : files_) {
        const std::string path = staging.folder() + '/' + file.local.name;
        if (size_of(path) == file.remote.bytes) {
            bytes += file.remote.bytes;
            continue;
        }
        struct stat facts {};
        if (::stat((path + ".part").c_str(), &facts) == 0) {
            bytes += std::min(static_cast<std::uint64_t>(facts.st_blocks) * 512, file.remote.bytes);
        }
    }
    return bytes;
}

Status Pulling::check_space(const Staging& staging) {
    const std::uint64_t arrived = arrived_bytes(staging);
    const std::uint64_t whole = variant_.bytes();
    Status room =
        check_room(staging.folder(), whole - std::min(arrived, whole), options_.spare_bytes);
    return room;
}

Error Pulling::stopped() const {
    return {Fault::cancelled, "stopped; pull again to go on, what has arrived is kept"};
}

Status Pulling::fetch(const Staging& staging, const Planned& file) {
    const std::string path = staging.folder() + '/' + file.local.name;
    // A file has its own name only once it was checked.
    if (size_of(path) == file.remote.bytes && file.remote.bytes > 0) {
        settled_bytes_ += file.remote.bytes;
        return {};
    }
    const std::string identity =
        file.remote.sha256.empty()
            ? fmt::format("{}@{}/{}", reference_.repository, reference_.revision, file.remote.path)
            : file.remote.sha256;
    TRILANE_TRY(PartFile part, PartFile::open(path, file.remote.bytes, identity));
    meter_.begin("downloading", file.local.name);
    DownloadHooks hooks;
    hooks.on_commit = [this](const std::string& commit) {
        commit_ = commit_.empty() ? commit : commit_;
    };
    hooks.on_tick = [&](std::uint64_t done_bytes, bool waiting) -> Status {
        if (options_.cancel.cancelled()) {
            return tl::unexpected(stopped());
        }
        meter_.set_waiting(waiting);
        meter_.tick(settled_bytes_ + done_bytes);
        // Others may fill the disk meanwhile.
        return check_room(staging.folder(), 0, options_.spare_bytes);
    };
    TRILANE_TRY_STATUS(download_file(web_, hub_, reference_, file.remote, part, hooks));
    return check(path, std::move(part), file);
}

Status Pulling::check(const std::string& path, PartFile part, const Planned& file) {
    const std::string part_path = part.part_path();
    meter_.begin("checking", file.local.name);
    if (!file.remote.sha256.empty()) {
        std::uint64_t checked = 0;
        auto hash = sha256_of(part_path, options_.cancel, [&](std::uint64_t bytes) {
            checked += bytes;
            meter_.tick(settled_bytes_ + checked);
        });
        if (!hash) {
            return tl::unexpected(hash.error().fault == Fault::cancelled ? stopped()
                                                                         : std::move(hash).error());
        }
        if (*hash != file.remote.sha256) {
            PartFile::discard(path);
            return fail(
                Fault::corrupt,
                "'{}' arrived damaged: its SHA-256 is {}…, the hub's is {}…; it was dropped, "
                "pull again to fetch it anew",
                shown(file.remote.path), hash->substr(0, 12), file.remote.sha256.substr(0, 12));
        }
    }
    // Of the name it will have, for what it is depends on the name.
    TRILANE_TRY_STATUS(PartFile::finish(std::move(part), path));
    if (auto header = read_model_header(path); !header) {
        std::error_code ignored;
        fs::remove(path, ignored);
        return fail(Fault::corrupt,
                    "'{}' is no model file that can be read ({}); name another "
                    "variant or repository",
                    shown(file.remote.path), header.error().message);
    }
    settled_bytes_ += file.remote.bytes;
    return {};
}

Result<Entry> Pulling::place(Staging& staging) {
    Manifest whole = manifest();
    whole.added_unix_s = std::time(nullptr);
    TRILANE_TRY_STATUS(write_manifest(staging.folder(), whole));
    TRILANE_TRY_STATUS(staging.move_into_place(options_.force));
    const auto found = find_models_in_folder(staging.place());
    if (found.size() != 1) {
        return fail(Fault::internal, "{} holds {} models after its pull; report this",
                    staging.place(), found.size());
    }
    return entry_of(found.front(), read_model_header);
}

Result<Entry> Pulling::run() {
    TRILANE_TRY_STATUS(plan());
    TRILANE_TRY(std::optional<Entry> there, already_there());
    if (there) {
        return std::move(*there);
    }
    TRILANE_TRY(Staging staging, Staging::open(options_.directory, id_));
    Manifest wanted = manifest();
    TRILANE_TRY_STATUS(staging.keep_only(wanted));
    const auto give_up = [&](Status status) -> Result<Entry> {
        if (arrived_bytes(staging) == 0) {
            staging.discard();
        }
        return tl::unexpected(std::move(status).error());
    };
    if (Status room = check_space(staging); !room) {
        return give_up(std::move(room));
    }
    for (const Planned& file : files_) {
        if (Status fetched = fetch(staging, file); !fetched) {
            return give_up(std::move(fetched));
        }
    }
    return place(staging);
}

}  // namespace

Result<Entry> pull(const Hub& hub, const Reference& reference, const Variant& variant,
                   const PullOptions& options) {
    return Pulling(hub, reference, variant, options).run();
}

}  // namespace trilane::catalog
