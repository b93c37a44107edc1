#include "app/daemon.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>

#include "app/command_line.h"
#include "app/daemon_log.h"
#include "app/gpu_learning.h"
#include "app/model_files.h"
#include "app/observed_loads.h"
#include "app/offer_watch.h"
#include "app/output.h"
#include "app/pull_listing.h"
#include "app/recorders.h"
#include "app/serve_setup.h"
#include "app/version.h"
#include "catalog/catalog.h"
#include "catalog/library.h"
#include "gateway/gateway.h"
#include "net/loops.h"
#include "os/child.h"
#include "os/memory.h"
#include "os/orphans.h"
#include "plane/plane.h"
#include "probe/engines.h"
#include "probe/machine.h"

namespace trilane::app {
namespace {

namespace fs = std::filesystem;

/// For the last bytes of the answers that the lanes have ended.
constexpr std::chrono::milliseconds kFlushPatience{2'000};
constexpr unsigned kLoopThreads = 2;
/// How long the start waits for the lanes' lists of models.
constexpr std::chrono::seconds kOffersPatience{3};

void log_info(std::string_view line) {
    log_line(LogLevel::info, printable(line));
}

/// Where clients on this machine reach the daemon.
std::string url_of(const std::string& host, std::uint16_t port, bool tls) {
    const bool ipv6 = host.find(':') != std::string::npos && !host.starts_with('[');
    return fmt::format("http{}://{}{}{}:{}", tls ? "s" : "", ipv6 ? "[" : "", host, ipv6 ? "]" : "",
                       port);
}

catalog::Entry entry_of(const ModelFile& file) {
    catalog::Entry entry;
    entry.id = file.id;
    entry.path = file.path;
    std::error_code ignored;
    entry.bytes = fs::file_size(file.path, ignored);
    struct stat facts {};
    if (::stat(file.path.c_str(), &facts) == 0) {
        entry.added_unix_s = facts.st_mtime;
    }
    return entry;
}

/// This machine's facts for who asks over HTTP: read when first asked for, then kept fresh. Those
/// of the plane are its thread's own. **Threads:** any.
class MachineNow {
public:
    probe::Machine facts() {
        const std::scoped_lock lock(mutex_);
        if (!machine_) {
            machine_ = probe::read_machine();
        } else {
            probe::refresh(*machine_);
        }
        return *machine_;
    }

private:
    std::mutex mutex_;
    std::optional<probe::Machine> machine_;
};

}  // namespace

struct Daemon::Parts {
    ServeOptions options;
    config::Config config;
    std::optional<ModelFile> served;  ///< of --model, or the bundled one
    fs::file_time_type config_time;
    std::string api_key;
    std::string keys_file;
    fs::file_time_type keys_time;
    std::shared_ptr<access::Door> door;

    // In the order of ownership: what stands below uses what stands above.
    std::unique_ptr<net::Loops> loops;
    std::unique_ptr<os::ChildWatch> children;
    std::unique_ptr<Recorders> recorders;
    std::unique_ptr<catalog::LocalModels> models;
    std::shared_ptr<probe::Machine> machine;  // the plane's thread's once there is a plane
    std::unique_ptr<GpuLearning> learning;
    std::shared_ptr<plane::Plane> plane;
    std::shared_ptr<catalog::Library> library;
    std::unique_ptr<gateway::Gateway> gateway;

    std::mutex mutex;
    std::condition_variable told;
    std::optional<Status> model_status;
    std::vector<std::shared_ptr<lane::Lane>> lanes;
    std::vector<UnusableLane> unusable;
    std::unique_ptr<OfferWatch> offers;

    Status read_keys();
    void look_at_keys();
    Status find_served();
    Status open_plane();
    void open_library();
    void catalogue_changed();
    [[nodiscard]] plane::FurtherNames further_names() const;
    Status open_gateway();
    [[nodiscard]] std::vector<lane::Settings> wanted_lanes() const;
    std::vector<lane::Settings> open_lanes();
    [[nodiscard]] plan::Memory memory(std::span<const plan::Occupant> occupants);
    void remember_loads(plane::PlaneOptions& out) const;
    [[nodiscard]] std::vector<catalog::Entry> entries() const;
    [[nodiscard]] plane::Policies policies() const;
    /// **Threads:** any; the configuration may be read again meanwhile.
    [[nodiscard]] plan::Reserve reserve() {
        const std::scoped_lock lock(mutex);
        return config.memory.reserve;
    }
    [[nodiscard]] bool uses_tls() const { return !config.server.tls_certificate.empty(); }
    [[nodiscard]] plane::LineLimits line_limits() const {
        return {config.queue.length_max, config.queue.per_client_max};
    }
};

fs::file_time_type time_of(const std::string& file) {
    std::error_code failed;
    const auto time = fs::last_write_time(file, failed);
    return failed ? fs::file_time_type() : time;
}

Status Daemon::Parts::read_keys() {
    keys_file = keys_file_of(config, options);
    keys_time = time_of(keys_file);
    TRILANE_TRY(ServeKeys keys, serve_keys(config, options));
    api_key = keys.api_key;
    if (keys.none() && keys.ring.has_file()) {
        log_line(LogLevel::warn,
                 fmt::format("{} holds no key, so nobody is let in: make one with `trilane key add "
                             "NAME`, or delete the file and start again to serve without keys",
                             printable(keys_file)));
    }
    door = std::make_shared<access::Door>(api_key, std::move(keys.ring));
    return {};
}

/// Keys that were made or revoked meanwhile. A file that cannot be read changes nothing; without
/// the last key nobody is let in.
void Daemon::Parts::look_at_keys() {
    const auto time = time_of(keys_file);
    if (time == keys_time) {
        return;
    }
    keys_time = time;
    auto ring = access::KeyRing::load(keys_file);
    if (!ring) {
        log_line(LogLevel::error,
                 printable(ring.error().message) + "; the keys read before stay in force");
        return;
    }
    const std::size_t keys = ring->keys().size();
    door->replace(*std::move(ring));
    log_info(fmt::format("keys read again: {}", keys));
    if (keys == 0 && api_key.empty() && !door->is_open()) {
        log_line(LogLevel::warn,
                 "the last key is gone, so nobody is let in: make one with `trilane key add NAME`, "
                 "or delete the file of keys and start again to serve without keys");
    }
}

/// As lane_settings() says; beside an NPU, llama-servers are asked for their devices first.
std::vector<lane::Settings> Daemon::Parts::wanted_lanes() const {
    if (!devices_matter(config, options, *machine)) {
        return lane_settings(config, options, *machine);
    }
    probe::EngineSearch search;
    search.programs.emplace_back("llama-server", "llama-server");
    search.directories = options.path;
    search.environment = options.child_environment;
    std::vector<lane::Settings> wanted =
        lane_settings(config, options, *machine, probe::find_engines(search));
    for (const lane::Settings& lane : wanted) {
        if (lane.kind == "llama-server" && lane.engine_device.empty()) {
            log_line(
                LogLevel::warn,
                fmt::format("lane {}: no llama-server on PATH lists a Vulkan device; should it "
                            "use ROCm, the NPU's firmware hangs; see: trilane doctor",
                            lane.name));
        }
    }
    return wanted;
}

/// A lane that cannot be opened is a line in the log: the others are of use without it. Returns the
/// settings of those that are open.
std::vector<lane::Settings> Daemon::Parts::open_lanes() {
    std::vector<lane::Settings> opened;
    lane::Parts parts = lane_parts(options, *children, *loops);
    parts.log = log_info;
    const plan::Memory memory = plan::memory_of(*machine, config.memory.reserve);
    for (lane::Settings& settings : wanted_lanes()) {
        auto lane = open_to_serve(settings, parts, memory);
        if (!lane) {
            log_line(LogLevel::error,
                     fmt::format("lane {}: {}", settings.name, printable(lane.error().message)));
            unusable.push_back({settings.name, lane.error().message});
            continue;
        }
        if (!settings.program.empty() || !settings.url.empty()) {
            log_info(fmt::format("lane {}: {} {}", settings.name, settings.kind,
                                 settings.program.empty() ? settings.url : settings.program));
        }
        lanes.push_back(*std::move(lane));
        opened.push_back(std::move(settings));
    }
    return opened;
}

/// As it is now. On the plane's thread.
plan::Memory Daemon::Parts::memory(std::span<const plan::Occupant> occupants) {
    probe::refresh(*machine);
    learning->apply(*machine);
    std::vector<plan::Occupant> ours(occupants.begin(), occupants.end());
    plan::Occupant self;  // beside what the models in this process are seen to hold
    self.device = "cpu";
    self.observed.own_bytes = os::own_anonymous_bytes();
    for (const plan::Occupant& one : occupants) {
        self.observed.own_bytes -= one.observed.in_this_process
                                       ? std::min(one.observed.own_bytes, self.observed.own_bytes)
                                       : 0;
    }
    ours.push_back(std::move(self));
    plan::Memory memory = plan::memory_of(*machine, reserve(), ours);
    learning->mark(memory);
    return memory;
}

/// What was observed before, and keeping what will be.
void Daemon::Parts::remember_loads(plane::PlaneOptions& out) const {
    const std::string path = observed_loads_path(options.state_dir);
    auto known = read_observed_loads(path);
    if (!known) {
        log_line(LogLevel::warn, printable(known.error().message));
    }
    out.observations = known ? *std::move(known) : std::vector<plan::Observation>();
    if (!path.empty()) {
        out.on_observation = [path](const std::vector<plan::Observation>& loads) {
            if (const Status kept = write_observed_loads(path, loads); !kept) {
                log_line(LogLevel::warn, printable(kept.error().message));
            }
        };
    }
}

std::vector<catalog::Entry> Daemon::Parts::entries() const {
    std::vector<catalog::Entry> all = models->list();
    std::error_code failed;
    if (served && std::ranges::find(all, served->id, &catalog::Entry::id) == all.end() &&
        fs::status(served->path, failed).type() != fs::file_type::not_found) {
        all.insert(all.begin(), entry_of(*served));
    }
    return all;
}

plane::Policies Daemon::Parts::policies() const {
    return policies_of(config, served ? served->id : "", names_its_model(options));
}

/// A bundled model that is not there matters to those alone who asked for it.
Status Daemon::Parts::find_served() {
    if (!begins_with_model(config, options)) {
        return {};
    }
    auto found = find_model(options.model, model_folders(config, options));
    if (found) {
        served = *std::move(found);
    } else if (names_its_model(options)) {
        return tl::unexpected(std::move(found).error());
    } else {
        log_line(LogLevel::warn, printable(found.error().message) + "; serving without it");
    }
    return {};
}

Status Daemon::Parts::open_plane() {
    TRILANE_TRY_STATUS(find_served());
    machine = std::make_shared<probe::Machine>(probe::read_machine());
    models = std::make_unique<catalog::LocalModels>(model_folders(config, options));
    models->scan();
    open_library();
    for (const std::string& missing : missing_folders(config, options.home)) {
        log_line(LogLevel::warn, printable(missing));
    }
    for (const std::string& problem : models->problems()) {
        log_line(LogLevel::warn, printable(problem));
    }
    plane::PlaneOptions plane_options;
    plane_options.line = line_limits();
    plane_options.wait_max = std::chrono::seconds(config.queue.wait_s_max);
    plane_options.batch_wait_max = std::chrono::milliseconds(config.queue.batch_wait_ms_max);
    plane_options.policies = policies();
    plane_options.default_model = served ? served->id : "";
    plane_options.memory = [this](std::span<const plan::Occupant> ours) { return memory(ours); };
    remember_loads(plane_options);
    plane_options.catalogue = [this] { return entries(); };
    plane_options.further_names = [this] { return further_names(); };
    plane_options.log = log_info;
    learning = std::make_unique<GpuLearning>(
        *machine, GpuLearning::Options{.children = children.get(),
                                       .lanes = open_lanes(),
                                       .path = options.path,
                                       .environment = options.child_environment,
                                       .log = log_info});
    plane = std::make_shared<plane::Plane>(std::move(plane_options), lanes);
    learning->begin([this] { plane->memory_changed(); });
    offers = std::make_unique<OfferWatch>(
        OfferWatch::Options{.lanes = lanes,
                            .changed = [this] { plane->catalogue_changed(); },
                            .warn = [](std::string_view line) { log_line(LogLevel::warn, line); }});
    if (served) {
        plane->load({.model = served->id, .lane = "", .context_tokens = {}, .pin = {}},
                    [this](Status status) {
                        const std::scoped_lock lock(mutex);
                        model_status = std::move(status);
                        told.notify_all();
                    });
    }
    if (config.catalog.watch) {
        if (const Status watching = models->watch([this] { plane->catalogue_changed(); });
            !watching) {
            log_line(LogLevel::warn, printable(watching.error().message));
        }
    }
    return {};
}

void Daemon::Parts::open_library() {
    catalog::LibraryOptions out;
    out.directory = options.models_dir;
    out.spare_bytes = config.catalog.disk_reserve_bytes;
    const std::string& named = config.catalog.hub_endpoint;
    out.hub = hub_of(named.empty() ? options.hub_endpoint : named, options.hub_token);
    out.entries = [this] { return entries(); };
    out.choose = [this](std::vector<catalog::Variant> variants,
                        const catalog::Reference& reference) -> Result<catalog::Variant> {
        const plan::Memory memory = plan::memory_of(probe::read_machine(), reserve());
        TRILANE_TRY(const VariantChoice choice, choose(std::move(variants), reference, memory));
        return choice.variants[choice.chosen].variant;
    };
    out.unload = [this](const std::string& id) {
        static_cast<void>(plane->unload(id));  // or it is not loaded
    };
    out.changed = [this] { catalogue_changed(); };
    out.log = [](std::string_view line) { log_line(LogLevel::warn, printable(line)); };
    library = catalog::open_library(std::move(out));
}

/// After files or names have changed by our own hand: the watch may be off, and is late.
void Daemon::Parts::catalogue_changed() {
    models->scan();
    plane->catalogue_changed();
}

plane::FurtherNames Daemon::Parts::further_names() const {
    plane::FurtherNames names;
    for (const catalog::FurtherName& further : library->further_names()) {
        names.emplace(further.name, further.model);
    }
    return names;
}

Status Daemon::Parts::open_gateway() {
    gateway::GatewayOptions out;
    out.host = config.server.host;
    out.port = config.server.port;
    out.loops = loops.get();
    out.access.door = door;
    out.access.allowed_origins = config.server.cors;
    out.access.hosts = config.server.hosts;
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) == 0) {
        out.access.hosts.emplace_back(name);
        out.access.hosts.push_back(std::string(name) + ".local");
    }
    out.tls = {config.server.tls_certificate, config.server.tls_key};
    out.recorder = [this](const gateway::Record& record) { recorders->write(record); };
    out.version = version_number();
    out.machine = [known = std::make_shared<MachineNow>()] { return known->facts(); };
    out.models_directory = options.models_dir;
    out.library = library;
    out.log = daemon_log_lines();
    TRILANE_TRY(gateway, gateway::Gateway::start(std::move(out), plane));
    return {};
}

Result<std::unique_ptr<Daemon>> Daemon::start(const ServeOptions& options, config::Config config) {
    auto parts = std::make_unique<Parts>();
    parts->options = options;
    parts->config = std::move(config);
    if (!options.config_file.empty()) {
        std::error_code ignored;
        parts->config_time = fs::last_write_time(options.config_file, ignored);
        log_info("configuration: " + options.config_file);
    }
    TRILANE_TRY_STATUS(parts->read_keys());
    try {
        parts->loops = std::make_unique<net::Loops>(kLoopThreads);
        parts->children = std::make_unique<os::ChildWatch>();
        parts->recorders =
            std::make_unique<Recorders>(parts->config, options.state_dir, *parts->loops);
    } catch (const std::exception& error) {
        return fail(Fault::unavailable, "cannot start threads: {}; see `ulimit -u` and `ulimit -n`",
                    error.what());
    }
    if (const std::size_t ended = os::end_orphans(); ended > 0) {
        log_line(LogLevel::warn,
                 fmt::format("ended {} processes that a daemon which was killed had left", ended));
    }
    auto daemon = std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
    TRILANE_TRY_STATUS(daemon->parts_->open_plane());
    TRILANE_TRY_STATUS(daemon->parts_->open_gateway());
    return daemon;
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Daemon::~Daemon() {
    stop();
}

Status Daemon::wait_for_model() {
    parts_->offers->wait_first(kOffersPatience);
    if (!parts_->served) {
        return {};
    }
    std::unique_lock lock(parts_->mutex);
    parts_->told.wait(lock, [&] { return parts_->model_status.has_value(); });
    if (*parts_->model_status || names_its_model(parts_->options)) {
        return *parts_->model_status;
    }
    log_line(LogLevel::warn,
             fmt::format("the bundled model is not loaded: {}; serving without it, which "
                         "--no-model does from the start",
                         printable(parts_->model_status->error().message)));
    return {};
}

std::string Daemon::url() const {
    return url_of(parts_->config.server.host, parts_->gateway->port(), parts_->uses_tls());
}

std::uint32_t Daemon::patience_s() const {
    return parts_->config.server.patience_s;
}

std::string Daemon::announcement() const {
    const std::string& host = parts_->config.server.host;
    const std::uint16_t port = parts_->gateway->port();
    std::string text = fmt::format("listening on {}\n", url_of(host, port, parts_->uses_tls()));
    if (!parts_->model_status || !*parts_->model_status) {
        return text;
    }
    const bool everywhere = host == "0.0.0.0" || host == "::";
    const std::string& model = parts_->served->id;
    const std::string key =
        parts_->door->is_open() ? "" : " -H \"Authorization: Bearer $TRILANE_API_KEY\"";
    text += fmt::format(
        "\nTry it:\n  curl {}/v1/chat/completions{} -H 'Content-Type: application/json' \\\n"
        "    -d '{{\"model\": \"{}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Tell me "
        "a short "
        "story about a dog.\"}}], \"max_tokens\": 120}}'\n",
        url_of(everywhere ? "127.0.0.1" : host, port, parts_->uses_tls()), key, printable(model));
    if (model == kBundledId) {
        text +=
            "\ntrilane-nano is a small story model: small stories, short answers, and facts that "
            "are often wrong.\n";
    }
    return text;
}

std::vector<std::string> Daemon::shortcomings() const {
    std::vector<catalog::Entry> known = parts_->entries();
    for (const std::shared_ptr<lane::Lane>& lane : parts_->lanes) {
        const std::vector<catalog::Entry> offers = lane->offers();
        known.insert(known.end(), offers.begin(), offers.end());
    }
    std::vector<std::string> out = missing_models(parts_->config, known);
    const std::string lanes = usable_lanes_text(parts_->lanes.size(), parts_->unusable);
    if (!lanes.empty()) {
        out.push_back(lanes);
    }
    return out;
}

void Daemon::look_at_config() {
    parts_->look_at_keys();
    const std::string& file = parts_->options.config_file;
    std::error_code failed;
    const auto time = file.empty() ? parts_->config_time : fs::last_write_time(file, failed);
    if (failed || time == parts_->config_time) {
        return;
    }
    parts_->config_time = time;
    auto fresh = effective_config(parts_->options);
    if (!fresh) {
        log_line(LogLevel::error,
                 printable(fresh.error().message) + "; what was read before stays in force");
        return;
    }
    for (const std::string& warning : fresh->warnings) {
        log_line(LogLevel::warn, printable(warning));
    }
    const config::Difference difference = config::compare(parts_->config, *fresh);
    parts_->config.models = fresh->models;
    parts_->config.queue = fresh->queue;
    parts_->config.server.log_level = fresh->server.log_level;
    set_log_level(log_level_of(*fresh, parts_->options));
    {
        const std::scoped_lock lock(parts_->mutex);
        parts_->config.memory = fresh->memory;
    }
    parts_->plane->set_policies(parts_->policies(), parts_->line_limits());
    parts_->plane->memory_changed();
    std::string names;
    for (const std::string& name : difference.hot) {
        names += (names.empty() ? "" : ", ") + name;
    }
    log_info(fmt::format("configuration read again: {}", names.empty() ? "nothing new" : names));
    for (const std::string& name : difference.restart) {
        log_line(LogLevel::warn, fmt::format("{} takes effect after a restart", printable(name)));
    }
}

void Daemon::stop() {
    if (parts_->offers != nullptr) {
        parts_->offers->stop();
    }
    if (parts_->plane != nullptr) {
        parts_->plane->stop(parts_->config.server.patience_s * 1000);
    }
    parts_->learning.reset();  // tells the plane; used by the plane's thread, which has ended
    if (parts_->gateway != nullptr) {
        parts_->gateway->stop(kFlushPatience);
    }
    if (parts_->library != nullptr) {
        parts_->library->stop();  // while what its callbacks use is there
    }
    parts_->gateway.reset();
    parts_->library.reset();
    parts_->models.reset();  // joins its watch, which uses the plane
    parts_->plane.reset();
    parts_->lanes.clear();
    parts_->recorders.reset();  // sends and writes what is left
}

}  // namespace trilane::app
