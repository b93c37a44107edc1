// The library of the files in the models folder.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>

#include "catalog/durable_file.h"
#include "catalog/file_names.h"
#include "catalog/further_names.h"
#include "catalog/library.h"
#include "catalog/manifest.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "os/small_file.h"
#include "os/worker_pool.h"

namespace trilane::catalog {
namespace {

/// Descriptions, deletions and the like that may wait for the one thread that does them.
constexpr std::size_t kErrandsMax = 256;
/// Behind the name of a file that cannot be read, when another takes its place.
constexpr std::string_view kDamagedEnd = ".damaged";
/// Longer lists of the metadata are left out unless they are asked for.
constexpr std::size_t kShortListMax = 64;

json::Value element_of(const gguf::Array& array, std::size_t i) {
    switch (array.kind()) {
        case gguf::ValueKind::string:
            return std::string(array.string(i));
        case gguf::ValueKind::f32:
        case gguf::ValueKind::f64:
            return array.number(i);
        case gguf::ValueKind::array:
            return nullptr;
        default:
            return array.integer(i);
    }
}

json::Value json_of(const gguf::Value& value, bool whole) {
    if (const auto* array = std::get_if<gguf::Array>(&value)) {
        if (array->kind() == gguf::ValueKind::array || (!whole && array->size() > kShortListMax)) {
            return nullptr;
        }
        json::Value out = json::Value::array();
        for (std::size_t i = 0; i < array->size(); ++i) {
            out.push_back(element_of(*array, i));
        }
        return out;
    }
    if (const auto* text = std::get_if<std::string_view>(&value)) {
        return std::string(*text);
    }
    if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        return *number;
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return *number;
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return *number;
    }
    return std::get<bool>(value);
}

Result<Description> description_of(const Entry& entry, bool whole) {
    constexpr std::string_view kTemplate = "tokenizer.chat_template";
    Description description;
    if (entry.store != Store::gguf || is_whisper_file(base_name(entry.path))) {
        return description;
    }
    TRILANE_TRY(const auto file, gguf::File::open(entry.path));
    json::Value metadata = json::Value::object();
    for (const gguf::Entry& one : file->metadata()) {
        if (one.key == kTemplate) {
            description.template_text = file->string(kTemplate).value_or("");
        } else {
            metadata[std::string(one.key)] = json_of(one.value, whole);
        }
    }
    description.metadata = json::dump(metadata);
    return description;
}

using FlightKey = std::pair<std::string, std::string>;  // reference and id

/// One pull and those who follow it.
struct Flight {
    FlightKey key;
    PullAsk ask;
    CancelToken cancel;
    std::vector<std::string> names;                   // further ones for what comes
    std::map<std::uint64_t, PullListener> listeners;  // by ticket
    PullNews news;
};
/// What tickets need of the library, and may outlive it.
struct Flights {
    std::mutex mutex;  // guards all below; no callback is called under it
    std::map<FlightKey, std::shared_ptr<Flight>> running;
    std::uint64_t next_ticket = 1;

    void leave(const std::shared_ptr<Flight>& flight, std::uint64_t ticket) {
        PullListener dropped;
        const std::scoped_lock lock(mutex);
        const auto found = flight->listeners.find(ticket);
        if (found == flight->listeners.end()) {
            return;
        }
        dropped = std::move(found->second);
        flight->listeners.erase(found);
        if (flight->listeners.empty()) {
            flight->cancel.cancel();
        }
    }
};

class Ticket final : public PullTicket {
public:
    Ticket(std::shared_ptr<Flights> flights, std::shared_ptr<Flight> flight, std::uint64_t number)
        : flights_(std::move(flights)), flight_(std::move(flight)), number_(number) {}
    ~Ticket() override { flights_->leave(flight_, number_); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

private:
    std::shared_ptr<Flights> flights_;
    std::shared_ptr<Flight> flight_;
    std::uint64_t number_;
};

class LocalLibrary final : public Library {
public:
    explicit LocalLibrary(LibraryOptions options) : options_(std::move(options)) {
        if (!options_.directory.empty()) {
            read_names();
        }
    }
    ~LocalLibrary() override { stop(); }
    LocalLibrary(const LocalLibrary&) = delete;
    LocalLibrary& operator=(const LocalLibrary&) = delete;

    [[nodiscard]] std::vector<Entry> list() const override { return options_.entries(); }
    void describe(std::string id, bool whole,
                  std::function<void(Result<Description>)> done) override;
    void find_by_digest(std::string sha256, std::function<void(Result<std::string>)> done) override;
    [[nodiscard]] std::vector<FurtherName> further_names() const override;
    [[nodiscard]] std::optional<FurtherName> further_name(std::string_view name) const override;
    void add_name(FurtherName name, std::function<void(Status)> done) override;
    void remove_name(std::string name, std::function<void(Status)> done) override;
    Result<std::unique_ptr<PullTicket>> pull(PullAsk ask, PullListener listener) override;
    void variants(std::string reference,
                  std::function<void(Result<std::vector<Variant>>)> done) override;
    [[nodiscard]] std::vector<std::pair<std::string, PullNews>> pulls() const override;
    void remove(std::string id, std::function<void(Status)> done) override;
    void stop() override;

private:
    [[nodiscard]] std::string names_path() const {
        return options_.directory + '/' + std::string(kNamesFile);
    }
    [[nodiscard]] Result<Entry> entry_called(const std::string& id) const;
    void read_names();
    Status put_damaged_names_aside();
    Status change_names(const std::function<Status(std::vector<FurtherName>&)>& change);
    Status remove_now(const std::string& id);
    [[nodiscard]] Result<std::string> find_digest(const std::string& sha256) const;
    void tell_changed() const {
        if (options_.changed) {
            options_.changed();
        }
    }
    template <class Answer, class Work>
    void run(std::unique_ptr<os::WorkerPool>& pool, std::function<void(Answer)> done, Work work);

    void fly(const std::shared_ptr<Flight>& flight);
    Result<Entry> fetch(const std::shared_ptr<Flight>& flight);
    void report(const std::shared_ptr<Flight>& flight, PullNews news);

    const LibraryOptions options_;
    mutable std::mutex mutex_;  // guards the names; not held while they are written
    std::vector<FurtherName> names_;
    std::mutex writing_;    // one change of the names at a time
    bool damaged_ = false;  // the file of names is there and cannot be read; writing_'s
    const std::shared_ptr<Flights> flights_ = std::make_shared<Flights>();
    // Their threads use all of the above. Guarded by the flights' mutex; null once stopped.
    std::unique_ptr<os::WorkerPool> pulls_ =
        std::make_unique<os::WorkerPool>(kPullsAtOnce, kPullsWaitingMax);
    std::unique_ptr<os::WorkerPool> errands_ = std::make_unique<os::WorkerPool>(1, kErrandsMax);
    std::unique_ptr<os::WorkerPool> lookups_ =
        std::make_unique<os::WorkerPool>(1, kLookupsWaitingMax);
};

void LocalLibrary::stop() {
    std::unique_ptr<os::WorkerPool> pulls;
    std::unique_ptr<os::WorkerPool> errands;
    std::unique_ptr<os::WorkerPool> lookups;
    {
        const std::scoped_lock lock(flights_->mutex);
        for (const auto& [key, flight] : flights_->running) {
            flight->cancel.cancel();
        }
        pulls = std::move(pulls_);
        errands = std::move(errands_);
        lookups = std::move(lookups_);
    }
    pulls.reset();
    errands.reset();
    lookups.reset();
    // Of pulls that never began: their followers go uncalled, and without the mutex.
    std::map<FlightKey, std::shared_ptr<Flight>> dropped;
    std::vector<std::map<std::uint64_t, PullListener>> followers;
    const std::scoped_lock lock(flights_->mutex);
    dropped.swap(flights_->running);
    for (const auto& [key, flight] : dropped) {
        followers.push_back(std::exchange(flight->listeners, {}));
    }
}

/// Does some work that waits for a disk or a hub.
template <class Answer, class Work>
void LocalLibrary::run(std::unique_ptr<os::WorkerPool>& pool, std::function<void(Answer)> done,
                       Work work) {
    const auto answer = std::make_shared<std::function<void(Answer)>>(std::move(done));
    bool taken = false;
    {
        const std::scoped_lock lock(flights_->mutex);
        taken =
            pool != nullptr && pool->post([answer, work = std::move(work)] { (*answer)(work()); });
    }
    if (!taken) {
        (*answer)(fail(Fault::unavailable, "too many requests about models wait; try again later"));
    }
}

Result<Entry> LocalLibrary::entry_called(const std::string& id) const {
    const std::vector<Entry> entries = options_.entries();
    const auto found = std::ranges::find(entries, id, &Entry::id);
    if (found == entries.end()) {
        return fail(Fault::not_found, "no file on this machine is the model '{}'", shown(id));
    }
    return *found;
}

void LocalLibrary::describe(std::string id, bool whole,
                            std::function<void(Result<Description>)> done) {
    run<Result<Description>>(errands_, std::move(done),
                             [this, id = std::move(id), whole]() -> Result<Description> {
                                 TRILANE_TRY(const Entry entry, entry_called(id));
                                 return description_of(entry, whole);
                             });
}

Result<std::string> LocalLibrary::find_digest(const std::string& sha256) const {
    for (const Entry& entry : options_.entries()) {
        const std::string folder = entry.path.substr(0, entry.path.rfind('/'));
        const auto manifest = entry.store == Store::gguf ? read_manifest(folder) : std::nullopt;
        if (manifest && !manifest->files.empty() && manifest->files.front().sha256 == sha256) {
            return entry.id;
        }
    }
    return fail(Fault::not_found, "no model here is the file sha256:{}", shown(sha256));
}

void LocalLibrary::find_by_digest(std::string sha256,
                                  std::function<void(Result<std::string>)> done) {
    run<Result<std::string>>(errands_, std::move(done),
                             [this, sha256 = std::move(sha256)] { return find_digest(sha256); });
}

std::vector<FurtherName> LocalLibrary::further_names() const {
    const std::scoped_lock lock(mutex_);
    return names_;
}

std::optional<FurtherName> LocalLibrary::further_name(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find(names_, name, &FurtherName::name);
    return found == names_.end() ? std::nullopt : std::optional(*found);
}

void LocalLibrary::read_names() {
    const auto text = os::read_small_file(names_path(), kNamesBytesMax);
    if (!text && text.error().fault == Fault::not_found) {
        return;
    }
    auto names = text ? parse_names(*text) : tl::unexpected(text.error());
    if (names) {
        names_ = *std::move(names);
        return;
    }
    damaged_ = true;
    if (options_.log) {
        options_.log(fmt::format(
            "{}: {}: the further names of models are not known; the file stays as it is until a "
            "name is given, and is then kept as {}{}",
            names_path(), names.error().message, kNamesFile, kDamagedEnd));
    }
}

/// Somebody may want to mend it.
Status LocalLibrary::put_damaged_names_aside() {
    if (!std::exchange(damaged_, false)) {
        return {};
    }
    std::error_code failed;
    std::filesystem::rename(names_path(), names_path() + std::string(kDamagedEnd), failed);
    if (failed && failed != std::errc::no_such_file_or_directory) {
        damaged_ = true;
        return fail(Fault::unavailable, "{} is damaged and cannot be put aside: {}; remove it",
                    names_path(), failed.message());
    }
    return {};
}

/// Changes a copy, writes it down, and only then takes it over.
Status LocalLibrary::change_names(const std::function<Status(std::vector<FurtherName>&)>& change) {
    if (options_.directory.empty()) {
        return fail(Fault::unavailable,
                    "there is no folder to keep models in; set HOME or XDG_DATA_HOME");
    }
    const std::scoped_lock one(writing_);
    std::vector<FurtherName> names = further_names();
    TRILANE_TRY_STATUS(change(names));
    TRILANE_TRY_STATUS(make_folder(options_.directory));
    TRILANE_TRY_STATUS(put_damaged_names_aside());
    TRILANE_TRY_STATUS(replace_file(names_path(), names_text(names)));
    const std::scoped_lock lock(mutex_);
    names_ = std::move(names);
    return {};
}

void LocalLibrary::add_name(FurtherName name, std::function<void(Status)> done) {
    if (name.added_unix_s == 0) {
        name.added_unix_s = std::time(nullptr);
    }
    run<Status>(errands_, std::move(done), [this, name = std::move(name)]() -> Status {
        TRILANE_TRY_STATUS(change_names([&](std::vector<FurtherName>& names) -> Status {
            std::erase_if(names, [&](const FurtherName& old) { return old.name == name.name; });
            if (names.size() >= kFurtherNamesMax) {
                return fail(Fault::exhausted, "{} further names are kept; delete some",
                            kFurtherNamesMax);
            }
            names.push_back(name);
            return {};
        }));
        tell_changed();
        return {};
    });
}

void LocalLibrary::remove_name(std::string name, std::function<void(Status)> done) {
    run<Status>(errands_, std::move(done), [this, name = std::move(name)]() -> Status {
        TRILANE_TRY_STATUS(change_names([&](std::vector<FurtherName>& names) -> Status {
            const bool gone =
                std::erase_if(names, [&](const FurtherName& old) { return old.name == name; }) > 0;
            return gone ? Status()
                        : fail(Fault::not_found, "no model has the further name '{}'", shown(name));
        }));
        tell_changed();
        return {};
    });
}

Status LocalLibrary::remove_now(const std::string& id) {
    TRILANE_TRY(const Entry entry, entry_called(id));
    if (options_.unload) {
        options_.unload(id);
    }
    TRILANE_TRY_STATUS(catalog::remove(entry, {options_.directory}));
    const auto names_it = [&](const FurtherName& name) { return name.model == id; };
    const auto forget = [&](std::vector<FurtherName>& names) -> Status {
        std::erase_if(names, names_it);
        return {};
    };
    if (std::ranges::any_of(further_names(), names_it)) {
        if (const Status written = change_names(forget); !written) {
            // Such as on a full disk. What was asked for has been done nevertheless.
            const std::scoped_lock lock(mutex_);
            std::erase_if(names_, names_it);
            if (options_.log) {
                options_.log(
                    fmt::format("{} is deleted, but its further names still stand in the "
                                "file: {}",
                                id, written.error().message));
            }
        }
    }
    tell_changed();
    return {};
}

void LocalLibrary::remove(std::string id, std::function<void(Status)> done) {
    run<Status>(errands_, std::move(done), [this, id = std::move(id)] { return remove_now(id); });
}

Result<std::unique_ptr<PullTicket>> LocalLibrary::pull(PullAsk ask, PullListener listener) {
    TRILANE_TRY(const Reference reference, parse_reference(ask.reference));
    if (options_.directory.empty()) {
        return fail(Fault::unavailable,
                    "there is no folder to keep models in; set HOME or XDG_DATA_HOME");
    }
    const FlightKey key{
        fmt::format("{}@{}:{}", reference.repository, reference.revision, reference.variant),
        ask.id};
    const std::scoped_lock lock(flights_->mutex);
    const auto running = flights_->running.find(key);
    std::shared_ptr<Flight> flight = running == flights_->running.end() ? nullptr : running->second;
    if (pulls_ == nullptr || (flight != nullptr && flight->cancel.cancelled())) {
        return fail(Fault::unavailable,
                    "its last pull is just being stopped; try again in a moment");
    }
    if (flight == nullptr) {
        flight = std::make_shared<Flight>();
        flight->key = key;
        flight->ask = ask;
        flight->news.phase = "choosing";
        if (!pulls_->post([this, flight] { fly(flight); })) {
            return fail(Fault::exhausted, "{} pulls wait already; try again later",
                        kPullsWaitingMax);
        }
        flights_->running.emplace(key, flight);
    }
    if (!ask.name.empty()) {
        flight->names.push_back(ask.name);
    }
    const std::uint64_t ticket = flights_->next_ticket++;
    flight->listeners.emplace(ticket, std::move(listener));
    return std::make_unique<Ticket>(flights_, flight, ticket);
}

void LocalLibrary::variants(std::string reference,
                            std::function<void(Result<std::vector<Variant>>)> done) {
    using Variants = Result<std::vector<Variant>>;
    run<Variants>(lookups_, std::move(done), [this, text = std::move(reference)]() -> Variants {
        TRILANE_TRY(const Reference parsed, parse_reference(text));
        return list_variants(options_.hub, parsed);
    });
}

std::vector<std::pair<std::string, PullNews>> LocalLibrary::pulls() const {
    std::vector<std::pair<std::string, PullNews>> out;
    const std::scoped_lock lock(flights_->mutex);
    for (const auto& [key, flight] : flights_->running) {
        out.emplace_back(flight->ask.reference, flight->news);
    }
    return out;
}

void LocalLibrary::report(const std::shared_ptr<Flight>& flight, PullNews news) {
    std::vector<PullListener> listeners;
    {
        const std::scoped_lock lock(flights_->mutex);
        flight->news = news;
        for (const auto& [ticket, listener] : flight->listeners) {
            listeners.push_back(listener);
        }
    }
    for (const PullListener& listener : listeners) {
        if (listener.on_news) {
            listener.on_news(news);
        }
    }
}

Result<Entry> LocalLibrary::fetch(const std::shared_ptr<Flight>& flight) {
    if (flight->cancel.cancelled()) {
        return fail(Fault::cancelled, "stopped before it began");
    }
    report(flight, flight->news);
    TRILANE_TRY(const Reference reference, parse_reference(flight->ask.reference));
    TRILANE_TRY(const std::vector<Variant> variants, list_variants(options_.hub, reference));
    TRILANE_TRY(const Variant variant, options_.choose ? options_.choose(variants, reference)
                                                       : choose_variant(variants, reference, {}));
    PullNews news;
    news.model =
        flight->ask.id.empty() ? id_of(reference.repository, variant.name) : flight->ask.id;
    news.sha256 = variant.files.empty() ? "" : variant.files.front().sha256;
    PullOptions pulling;
    pulling.directory = options_.directory;
    pulling.id = flight->ask.id;
    pulling.force = flight->ask.force;
    pulling.spare_bytes = options_.spare_bytes;
    pulling.cancel = flight->cancel;
    pulling.on_progress = [&](const Progress& progress) {
        news.phase = progress.phase;
        news.file = progress.file;
        news.total_bytes = progress.total_bytes;
        news.done_bytes = progress.done_bytes;
        news.bytes_per_s = progress.bytes_per_s;
        report(flight, news);
    };
    return catalog::pull(options_.hub, reference, variant, pulling);
}

void LocalLibrary::fly(const std::shared_ptr<Flight>& flight) {
    Result<Entry> entry = fetch(flight);
    if (entry) {
        std::vector<std::string> wanted;
        {
            const std::scoped_lock lock(flights_->mutex);
            wanted = flight->names;
        }
        const Status named = wanted.empty() ? Status() : change_names([&](auto& names) -> Status {
            for (const std::string& name : wanted) {
                std::erase_if(names, [&](const FurtherName& old) { return old.name == name; });
                if (name != entry->id && names.size() < kFurtherNamesMax) {
                    names.push_back({name, entry->id, {}, {}, {}, std::time(nullptr), true});
                }
            }
            return {};
        });
        tell_changed();
        if (!named) {
            entry = tl::unexpected(named.error());
        }
    }
    std::map<std::uint64_t, PullListener> listeners;
    {
        const std::scoped_lock lock(flights_->mutex);
        listeners.swap(flight->listeners);
        flights_->running.erase(flight->key);
    }
    for (const auto& [ticket, listener] : listeners) {
        if (listener.on_end) {
            listener.on_end(entry);
        }
    }
}

}  // namespace

std::unique_ptr<Library> open_library(LibraryOptions options) {
    return std::make_unique<LocalLibrary>(std::move(options));
}

}  // namespace trilane::catalog
