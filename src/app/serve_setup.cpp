#include "app/serve_setup.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "app/command_line.h"
#include "app/output.h"

namespace trilane::app {
namespace {

bool was_given(const ServeOptions& options, std::string_view name) {
    return std::ranges::find(options.given, name) != options.given.end();
}

/// Takes from the command line what it says, or what the file leaves to it.
void apply_command_line(const ServeOptions& options, config::Config& config) {
    config::ServerSection& server = config.server;
    const bool no_file = config.source.empty();
    if (no_file || was_given(options, "--host")) {
        server.host = options.host;
    }
    if (no_file || was_given(options, "--port")) {
        server.port = options.port;
    }
    if (no_file || was_given(options, "--cors")) {
        server.cors = options.cors_origins;
    }
    if (no_file || was_given(options, "--patience")) {
        server.patience_s = options.patience_s;
    }
    if (no_file || was_given(options, "--queue")) {
        config.queue.length_max = options.queue_max;
    }
}

/// The GPU that engines choose by themselves, as plan names it: a card before what is built into
/// the processor. "" = none can be used.
std::string usual_gpu(const probe::Machine& machine) {
    std::string best;
    bool best_is_card = false;
    for (std::size_t i = 0; i < machine.gpus.size(); ++i) {
        const probe::GpuFacts& gpu = machine.gpus[i];
        const bool usable = gpu.render_node_usable || gpu.vendor == probe::Vendor::nvidia;
        if (usable && (best.empty() || (!gpu.integrated && !best_is_card))) {
            best = fmt::format("gpu{}", i);
            best_is_card = !gpu.integrated;
        }
    }
    return best;
}

bool usable_npu(const probe::Machine& machine) {
    return std::ranges::any_of(machine.npus,
                               [](const probe::NpuFacts& npu) { return npu.device_node_usable; });
}

/// Whose memory a lane takes when its owner does not say.
std::string usual_device(const lane::Settings& settings, const probe::Machine& machine) {
    const auto kind = lane::descriptor_of(settings.kind);
    if (!kind || (*kind)->silicon == lane::Silicon::remote) {
        return "";
    }
    if ((*kind)->silicon == lane::Silicon::npu) {
        return "npu";
    }
    const bool on_gpu = (*kind)->silicon == lane::Silicon::gpu && settings.engine_device != "none";
    const std::string gpu = on_gpu ? usual_gpu(machine) : "";
    return gpu.empty() ? "cpu" : gpu;
}

lane::Settings native_lane(const ServeOptions& options) {
    lane::Settings native;
    native.name = "cpu";
    native.kind = "native";
    native.device = "cpu";
    native.engine.context_tokens = options.context_tokens;
    native.engine.slots = options.slots;
    native.engine.queue_max = options.queue_max;
    native.engine.threads = options.threads;
    native.engine.isa = options.isa;
    return native;
}

/// The program of a kind of lane that a machine offers by itself; "" = none.
std::string found_program(const lane::Descriptor& kind, const ServeOptions& options,
                          const probe::Machine& machine) {
    const bool usable = kind.silicon != lane::Silicon::npu || usable_npu(machine);
    return usable ? lane::installed_program(kind, options.path) : "";
}

/// With its first Vulkan device, the first llama-server of PATH that has one.
void prefer_vulkan(std::span<const probe::Engine> engines, const ServeOptions& options,
                   lane::Settings& lane) {
    for (const probe::Engine& engine : engines) {
        const std::string folder = std::filesystem::path(engine.path).parent_path().string();
        const auto vulkan = std::ranges::find_if(
            engine.devices, [](const auto& device) { return device.name.starts_with("Vulkan"); });
        if (engine.kind == lane.kind && vulkan != engine.devices.end() &&
            std::ranges::find(options.path, folder) != options.path.end()) {
            lane.program = engine.path;
            lane.engine_device = vulkan->name;
            return;
        }
    }
}

/// What its engine will need to find the card that is planned for it.
void mark_gpu(lane::Settings& settings, const probe::Machine& machine) {
    constexpr std::string_view kGpu = "gpu";
    std::size_t index = machine.gpus.size();
    if (settings.device.starts_with(kGpu)) {
        std::from_chars(settings.device.data() + kGpu.size(),
                        settings.device.data() + settings.device.size(), index);
    }
    settings.gpu = probe::mark_of(machine, index);
}

/// What a machine offers by itself: a lane for every kind of child whose program is installed.
std::vector<lane::Settings> found_lanes(const ServeOptions& options, const probe::Machine& machine,
                                        std::span<const probe::Engine> engines) {
    std::vector<lane::Settings> lanes;
    for (const lane::Descriptor& kind : lane::descriptors()) {
        const std::string program = found_program(kind, options, machine);
        if (program.empty()) {
            continue;
        }
        lane::Settings& found = lanes.emplace_back();
        found.kind = kind.kind;
        found.program = program;
        if (kind.silicon == lane::Silicon::npu) {
            found.name = "npu";
        } else if (kind.kind == "llama-server") {
            found.name = usual_gpu(machine).empty() ? "llama" : "gpu";
        } else {
            found.name = kind.kind;
        }
        found.device = usual_device(found, machine);
    }
    if (std::ranges::find(lanes, "npu", &lane::Settings::device) != lanes.end()) {
        for (lane::Settings& lane : lanes) {
            if (lane.kind == "llama-server" && lane.device != "cpu") {
                prefer_vulkan(engines, options, lane);
            }
        }
    }
    return lanes;
}

constexpr std::size_t kKeyBytesMax = 4096;

Error no_such_device(const lane::Settings& settings, const plan::Memory& memory) {
    std::string names;
    for (const plan::Device& device : memory.devices) {
        names += (names.empty() ? "" : ", ") + device.name;
    }
    return {Fault::not_found,
            fmt::format("this machine has no device {}; it has: {}", settings.device, names)};
}

}  // namespace

Result<config::Config> config_in(const std::string& file) {
    if (file.empty()) {
        return config::Config();
    }
    TRILANE_TRY(const std::string text, read_file(file, kConfigBytesMax));
    config::Checked checked = config::read_config(text, file);
    if (!checked.good()) {
        std::string errors;
        for (const config::Remark& remark : checked.remarks) {
            if (remark.error) {
                errors += "\n  " + config::remark_text(file, remark);
            }
        }
        return fail(Fault::invalid, "the configuration has errors:{}", errors);
    }
    return std::move(checked.config);
}

config::Checked readable_config(const std::string& file) {
    if (file.empty()) {
        return {};
    }
    const auto text = read_file(file, kConfigBytesMax);
    if (!text) {
        config::Checked nothing;
        nothing.remarks.push_back({.error = true, .text = text.error().message});
        return nothing;
    }
    return config::read_config(*text, file);
}

config::Checked told_config(const std::string& file) {
    config::Checked checked = readable_config(file);
    for (const config::Remark& remark : checked.remarks) {
        if (remark.error) {
            const bool whole = remark.line == 0;
            print_error(
                fmt::format("trilane: {}\n",
                            printable(whole ? remark.text : config::remark_text(file, remark))));
        }
    }
    if (!checked.good()) {
        print_error("trilane: that is left out; mend it, and see: trilane config check\n");
    }
    return checked;
}

Result<config::Config> effective_config(const ServeOptions& options) {
    TRILANE_TRY(config::Config config, config_in(options.config_file));
    apply_command_line(options, config);
    return config;
}

std::vector<std::string> catalog_folders(const config::Config& config, const std::string& home) {
    std::vector<std::string> folders = config.catalog.directories;
    for (std::string& folder : folders) {
        if (folder.starts_with("~/") && !home.empty()) {
            folder.replace(0, 1, home);
        }
    }
    return folders;
}

std::vector<std::string> missing_folders(const config::Config& config, const std::string& home) {
    std::vector<std::string> missing;
    for (const std::string& folder : catalog_folders(config, home)) {
        std::error_code ignored;
        if (!std::filesystem::is_directory(folder, ignored)) {
            missing.push_back(fmt::format("catalog.directories: there is no folder {}", folder));
        }
    }
    return missing;
}

std::vector<std::string> model_folders(const config::Config& config, const ServeOptions& options) {
    std::vector<std::string> folders = options.model_dirs;
    const std::vector<std::string> more = catalog_folders(config, options.home);
    folders.insert(folders.end(), more.begin(), more.end());
    return folders;
}

std::string usage_file(const config::Config& config, const std::string& state_dir) {
    if (!config.usage.file.empty()) {
        return config.usage.file;
    }
    return state_dir.empty() ? std::string() : state_dir + "/usage.db";
}

LogLevel log_level_of(const config::Config& config, const ServeOptions& options) {
    if (config.source.empty() || was_given(options, "--log-level")) {
        return options.log_level;
    }
    const std::string& name = config.server.log_level;
    return name == "debug"   ? LogLevel::debug
           : name == "warn"  ? LogLevel::warn
           : name == "error" ? LogLevel::error
           : name == "off"   ? LogLevel::off
                             : LogLevel::info;
}

bool devices_matter(const config::Config& config, const ServeOptions& options,
                    const probe::Machine& machine) {
    if (!config.lanes.empty()) {
        return false;
    }
    const std::vector<lane::Settings> lanes = found_lanes(options, machine, {});
    const auto has = [&](std::string_view kind) {
        return std::ranges::any_of(lanes, [&](const lane::Settings& lane) {
            return lane.kind == kind && lane.device != "cpu";
        });
    };
    return has("flm") && has("llama-server");
}

std::vector<lane::Settings> lane_settings(const config::Config& config, const ServeOptions& options,
                                          const probe::Machine& machine,
                                          std::span<const probe::Engine> engines) {
    if (config.lanes.empty()) {
        std::vector<lane::Settings> lanes = found_lanes(options, machine, engines);
        for (lane::Settings& settings : lanes) {
            mark_gpu(settings, machine);
        }
        // Where all of them are on the CPU, what our own engine can run needs no other process.
        const bool first = usual_gpu(machine).empty();
        lanes.insert(first ? lanes.begin() : lanes.end(), native_lane(options));
        return lanes;
    }
    std::vector<lane::Settings> lanes = config.lanes;
    for (lane::Settings& settings : lanes) {
        if (settings.device.empty()) {
            settings.device = usual_device(settings, machine);
        }
        mark_gpu(settings, machine);
        if (settings.kind != "native") {
            continue;
        }
        const engine::Options flags = native_lane(options).engine;
        if (was_given(options, "--threads")) {
            settings.engine.threads = flags.threads;
        }
        if (was_given(options, "--slots")) {
            settings.engine.slots = flags.slots;
        }
        if (was_given(options, "--ctx")) {
            settings.engine.context_tokens = flags.context_tokens;
        }
        settings.engine.isa = flags.isa;
    }
    return lanes;
}

Result<std::string> read_key_file(const std::string& path) {
    TRILANE_TRY(std::string key, read_file(path, kKeyBytesMax));
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) {
        key.pop_back();
    }
    return key;
}

std::string keys_file_of(const config::Config& config, const ServeOptions& options) {
    return config.server.keys_file.empty() ? options.keys_file : config.server.keys_file;
}

Result<ServeKeys> serve_keys(const config::Config& config, const ServeOptions& options) {
    ServeKeys keys;
    keys.api_key = options.api_key;
    if (keys.api_key.empty() && !config.server.api_key_file.empty()) {
        TRILANE_TRY(keys.api_key, read_key_file(config.server.api_key_file));
    }
    TRILANE_TRY(keys.ring, access::KeyRing::load(keys_file_of(config, options)));
    if (!is_loopback(config.server.host) && keys.none()) {
        return fail(
            Fault::invalid,
            "host {} lets other machines in, so a key is needed: make one with `trilane key "
            "add NAME`, set TRILANE_API_KEY or server.api_key_file, or listen on 127.0.0.1",
            config.server.host);
    }
    return keys;
}

lane::Parts lane_parts(const ServeOptions& options, os::ChildWatch& children, net::Loops& loops) {
    lane::Parts parts;
    parts.children = &children;
    parts.loops = &loops;
    parts.path = options.path;
    parts.environment = options.child_environment;
    parts.state_dir = options.state_dir;
    return parts;
}

Result<std::shared_ptr<lane::Lane>> open_to_serve(lane::Settings& settings,
                                                  const lane::Parts& parts,
                                                  const plan::Memory& memory) {
    if (!settings.device.empty() && memory.device(settings.device) == nullptr) {
        return tl::unexpected(no_such_device(settings, memory));
    }
    if (!settings.api_key_file.empty()) {
        TRILANE_TRY(settings.api_key, read_key_file(settings.api_key_file));
    }
    auto opened = lane::open_lane(settings, parts);
    if (!opened) {
        opened.error().message = reason_of(opened.error(), settings.name);
    }
    return opened;
}

std::string reason_of(const Error& error, std::string_view lane) {
    const std::string name = fmt::format("lane {}: ", lane);
    return error.message.substr(error.message.starts_with(name) ? name.size() : 0);
}

std::string usable_lanes_text(std::size_t usable, std::span<const UnusableLane> others) {
    if (others.empty()) {
        return {};
    }
    std::string text = fmt::format("{} of {} lanes usable", usable, usable + others.size());
    std::string_view before = ": ";
    for (const UnusableLane& one : others) {
        text += fmt::format("{}{} is not: {}", before, one.name, one.reason);
        before = "; ";
    }
    return text;
}

std::vector<std::string> missing_models(const config::Config& config,
                                        std::span<const catalog::Entry> known) {
    std::vector<std::string> missing;
    for (const config::ModelSection& model : config.models) {
        if (model.id != "*" && (model.pin || model.preload) &&
            std::ranges::find(known, model.id, &catalog::Entry::id) == known.end()) {
            missing.push_back(
                fmt::format("model.\"{}\" is to be {} and is not there; `trilane "
                            "list` shows the models there are",
                            model.id, model.pin ? "pinned" : "preloaded"));
        }
    }
    return missing;
}

bool names_its_model(const ServeOptions& options) {
    return was_given(options, "--model");
}

bool begins_with_model(const config::Config& config, const ServeOptions& options) {
    const bool nothing_configured = config.lanes.empty() && config.models.empty();
    return !options.no_model && (names_its_model(options) || nothing_configured);
}

plane::Policies policies_of(const config::Config& config, const std::string& served, bool named) {
    plane::Policies policies;
    for (const config::ModelSection& section : config.models) {
        plane::ModelPolicy& policy = policies[section.id];
        policy.lanes = section.lanes;
        policy.wishes = section.wishes;
        policy.pin = section.pin;
        policy.preload = section.preload;
        policy.keep_warm_s = section.keep_warm_s;
        policy.priority = section.priority;
        policy.aliases = section.aliases;
    }
    if (!served.empty()) {
        if (!policies.contains(served) && policies.contains("*")) {
            policies[served] = policies["*"];
        }
        plane::ModelPolicy& policy = policies[served];
        policy.preload = true;
        if (named) {
            policy.pin = true;
            policy.keep_warm_s = 0;
        }
    }
    return policies;
}

}  // namespace trilane::app
