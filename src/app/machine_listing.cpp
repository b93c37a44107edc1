#include "app/machine_listing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <map>

#include "app/output.h"
#include "doctor/advice.h"
#include "json/json.h"
#include "lane/descriptor.h"
#include "probe/learn.h"

namespace trilane::app {
namespace {

using doctor::binary_bytes;
using doctor::State;
using probe::Fact;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kBarCells = 20;
constexpr std::size_t kHeadingWidth = 9;
constexpr std::size_t kWrapColumns = 96;

/// Where engines are installed that are on nobody's PATH.
constexpr std::array<const char*, 4> kProgramFolders{"/usr/local/bin", "/usr/bin",
                                                     "/opt/fastflowlm/bin", "/opt/fastflowlm"};

/// How a terminal is told to change its colour.
struct Palette {
    std::string_view bold;
    std::string_view dim;
    std::string_view red;
    std::string_view green;
    std::string_view yellow;
    std::string_view cyan;
    std::string_view end;
};

constexpr Palette kNoColours{};
constexpr Palette kColours{"\x1b[1m",  "\x1b[2m",  "\x1b[31m", "\x1b[32m",
                           "\x1b[33m", "\x1b[36m", "\x1b[0m"};

const Palette& palette(bool colour) {
    return colour ? kColours : kNoColours;
}

/// Sections of lines: a heading stands before the first line of each.
class Page {
public:
    explicit Page(bool colour) : palette_(palette(colour)) {}

    void section(std::string_view heading) {
        heading_ = heading;
        text_ += text_.empty() ? "" : "\n";
    }
    void line(std::string_view content) {
        text_ += fmt::format("{}{:<{}}{}{}\n", palette_.bold, heading_, kHeadingWidth, palette_.end,
                             content);
        heading_ = "";
    }
    [[nodiscard]] const Palette& colours() const { return palette_; }
    std::string take() { return std::move(text_); }

private:
    const Palette& palette_;
    std::string_view heading_;
    std::string text_;
};

/// Joins what is there with commas.
class Phrases {
public:
    void add(std::string phrase) {
        if (!phrase.empty()) {
            phrases_.push_back(std::move(phrase));
        }
    }
    [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(phrases_, ", ")); }
    [[nodiscard]] bool empty() const { return phrases_.empty(); }

private:
    std::vector<std::string> phrases_;
};

std::string bar(std::uint64_t used, std::uint64_t total) {
    const double share = total == 0 ? 0.0 : static_cast<double>(used) / static_cast<double>(total);
    const auto full =
        std::min(kBarCells, static_cast<std::size_t>(share * static_cast<double>(kBarCells) + 0.5));
    std::string cells;
    for (std::size_t i = 0; i < kBarCells; ++i) {
        cells += i < full ? "█" : "░";
    }
    return cells;
}

void write_system(Page& page, const probe::Machine& machine) {
    const probe::SystemFacts& system = machine.system;
    page.section("MACHINE");
    Phrases first;
    first.add(printable(system.product.value));
    first.add(printable(system.hostname.value));
    first.add("platform " + machine.platform);
    page.line(first.text());
    Phrases second;
    second.add(printable(system.distribution.value));
    second.add(system.kernel_release.known() ? "Linux " + printable(system.kernel_release.value)
                                             : "");
    if (system.container != probe::Container::none) {
        second.add(fmt::format("in {}", probe::container_name(system.container)));
    }
    page.line(second.text());
    Phrases third;
    third.add(system.mesa_version.known() ? "Mesa " + printable(system.mesa_version.value) : "");
    third.add(system.vulkan_loader.known() ? "Vulkan loader" : "no Vulkan loader");
    third.add(system.linux_firmware.known() ? "firmware " + printable(system.linux_firmware.value)
                                            : "");
    third.add(system.iommu.known() ? (system.iommu.value ? "IOMMU on" : "no IOMMU") : "");
    page.line(third.text());
    page.line(fmt::format("user {}, groups {}",
                          system.user.empty() ? "unknown" : printable(system.user),
                          printable(fmt::format("{}", fmt::join(system.groups, " ")))));
}

void write_cpu(Page& page, const probe::CpuFacts& cpu) {
    page.section("CPU");
    page.line(printable(cpu.model_name));
    Phrases sizes;
    sizes.add(fmt::format("{} core{}", cpu.cores, cpu.cores == 1 ? "" : "s"));
    sizes.add(fmt::format("{} thread{}", cpu.threads, cpu.threads == 1 ? "" : "s"));
    sizes.add(cpu.l2_bytes > 0 ? "L2 " + binary_bytes(cpu.l2_bytes) : "");
    sizes.add(cpu.l3_bytes > 0 ? "L3 " + binary_bytes(cpu.l3_bytes) : "");
    page.line(sizes.text());
    Phrases kernels;
    for (const auto isa : cpu.isas) {
        kernels.add(std::string(kernels::isa_name(isa)));
    }
    page.line("kernels " + kernels.text());
    if (!cpu.flags.empty()) {
        page.line(fmt::format("flags {}", fmt::join(cpu.flags, " ")));
    }
}

void write_memory(Page& page, const probe::Machine& machine) {
    const probe::MemoryFacts& memory = machine.memory;
    page.section("MEMORY");
    std::size_t width = 0;
    for (const probe::MemoryPool& pool : machine.pools) {
        width = std::max(width, pool.name.size());
    }
    for (const probe::MemoryPool& pool : machine.pools) {
        const std::uint64_t used = pool.total_bytes - pool.available_bytes;
        page.line(fmt::format("{:<{}}  {}  {} of {} free", pool.name, width,
                              bar(used, pool.total_bytes), binary_bytes(pool.available_bytes),
                              binary_bytes(pool.total_bytes)));
    }
    for (const probe::GpuFacts& gpu : machine.gpus) {
        if (gpu.integrated && gpu.gtt_total_bytes.known()) {
            page.line(fmt::format("{} may take up to {} of the system's ({} now)", gpu.name,
                                  binary_bytes(gpu.gtt_total_bytes.value),
                                  binary_bytes(gpu.gtt_used_bytes.value)));
        }
    }
    if (memory.cgroup_limit_bytes.known()) {
        page.line(fmt::format("limit {} ({})", binary_bytes(memory.cgroup_limit_bytes.value),
                              memory.cgroup_limit_bytes.source));
    }
    Phrases rest;
    if (memory.swap_total_bytes.value > 0) {
        rest.add(fmt::format("swap {} of {} free{}", binary_bytes(memory.swap_free_bytes.value),
                             binary_bytes(memory.swap_total_bytes.value),
                             memory.swap_in_memory.value ? " (zram)" : ""));
    } else if (memory.swap_total_bytes.known()) {
        rest.add("no swap");
    }
    if (memory.memlock_bytes.known()) {
        const std::uint64_t limit = memory.memlock_bytes.value;
        rest.add(limit == kUnlimited ? "locking unlimited"
                                     : "locking up to " + binary_bytes(limit));
    }
    if (memory.pressure_some_avg10.known()) {
        rest.add(fmt::format("pressure {:.1f} %", memory.pressure_some_avg10.value));
    }
    if (!rest.empty()) {
        page.line(rest.text());
    }
}

std::string node_text(const std::string& node, bool usable) {
    return node.empty() ? "no device node here"
                        : fmt::format("{} {}", node, usable ? "usable" : "NOT usable by this user");
}

void write_gpu(Page& page, const probe::GpuFacts& gpu) {
    page.section("GPU");
    page.line(gpu.product.empty() ? fmt::format("{:04x}:{:04x}", gpu.pci_vendor, gpu.pci_device)
                                  : printable(gpu.product));
    Phrases about;
    about.add(gpu.name);
    about.add(gpu.name == gpu.pci_slot ? "" : gpu.pci_slot);
    about.add(gpu.gfx);
    about.add(gpu.integrated ? "integrated" : "");
    about.add(gpu.driver.empty() ? "NO driver"
                                 : fmt::format("driver {}{}", gpu.driver,
                                               gpu.driver_version.known()
                                                   ? ' ' + printable(gpu.driver_version.value)
                                                   : ""));
    page.line(about.text());
    if (gpu.vendor != probe::Vendor::other) {
        Phrases nodes;
        nodes.add(node_text(gpu.render_node, gpu.render_node_usable));
        nodes.add(gpu.gfx.empty()  ? ""
                  : gpu.kfd_usable ? "/dev/kfd usable"
                                   : "/dev/kfd not usable");
        page.line(nodes.text());
    }
    Phrases now;
    now.add(gpu.asleep ? "asleep" : "");
    now.add(gpu.busy_percent.known() ? fmt::format("{} % busy", gpu.busy_percent.value) : "");
    now.add(gpu.power_uw.known()
                ? fmt::format("{:.1f} W{}", static_cast<double>(gpu.power_uw.value) / 1e6,
                              gpu.integrated ? " (whole chip)" : "")
                : "");
    now.add(gpu.temperature_mc.known()
                ? fmt::format("{} °C", (gpu.temperature_mc.value + 500) / 1000)
                : "");
    if (!now.empty()) {
        page.line(now.text());
    }
}

void write_npu(Page& page, const probe::NpuFacts& npu) {
    page.section("NPU");
    page.line(npu.generation);
    Phrases about;
    about.add(npu.name);
    about.add(npu.pci_slot);
    about.add(npu.driver.empty() ? "NO driver bound" : "driver " + npu.driver);
    about.add(npu.driver_version.known() ? printable(npu.driver_version.value) : "");
    about.add(npu.firmware_version.known() ? "firmware " + printable(npu.firmware_version.value)
                                           : "");
    about.add(npu.power_state.known() ? "power state " + printable(npu.power_state.value) : "");
    page.line(about.text());
    page.line(node_text(npu.device_node, npu.device_node_usable));
}

void write_power(Page& page, const std::vector<probe::PowerMeter>& meters) {
    if (meters.empty()) {
        return;
    }
    page.section("POWER");
    std::size_t width = 0;
    for (const probe::PowerMeter& meter : meters) {
        width = std::max(width, meter.name.size());
    }
    for (const probe::PowerMeter& meter : meters) {
        page.line(fmt::format("{:<{}}  {:<5}  {}{}", printable(meter.name), width, meter.kind,
                              meter.source, meter.readable ? "" : " (root only)"));
    }
}

void write_vulkan(Page& page, const std::vector<probe::VulkanDevice>& devices) {
    if (devices.empty()) {
        return;
    }
    page.section("VULKAN");
    for (const probe::VulkanDevice& device : devices) {
        std::uint64_t local = 0;
        for (const probe::VulkanHeap& heap : device.heaps) {
            local += heap.device_local ? heap.bytes : 0;
        }
        page.line(fmt::format("{}, {}, {} of its own, {}", printable(device.name), device.type,
                              binary_bytes(local), printable(device.driver)));
    }
}

void write_engines(Page& page, const Survey& survey) {
    if (!survey.asked) {
        return;
    }
    page.section("ENGINES");
    page.line("native");
    for (const probe::Engine& engine : survey.engines) {
        page.line(
            fmt::format("{} {} {}{}{}", engine.kind,
                        engine.version.empty() ? "of unknown version" : printable(engine.version),
                        page.colours().dim, printable(engine.path), page.colours().end));
        if (!engine.problem.empty()) {
            page.line("  does not run: " + printable(engine.problem));
        }
        for (const probe::EngineDevice& device : engine.devices) {
            page.line(
                fmt::format("  {}: {}{}", printable(device.name), printable(device.description),
                            device.total_bytes == 0
                                ? ""
                                : fmt::format(", {} of {} free", binary_bytes(device.free_bytes),
                                              binary_bytes(device.total_bytes))));
        }
    }
}

template <class T>
json::Value fact_json(const Fact<T>& fact) {
    return fact.known() ? json::Value{{"value", fact.value}, {"source", fact.source}}
                        : json::Value(nullptr);
}

json::Value sourced(json::Value value, std::string source) {
    return {{"value", std::move(value)}, {"source", std::move(source)}};
}

json::Value text_or_null(const std::string& text) {
    return text.empty() ? json::Value(nullptr) : json::Value(text);
}

json::Value limit_json(const Fact<std::uint64_t>& limit) {
    return limit.known() && limit.value == kUnlimited ? sourced("unlimited", limit.source)
                                                      : fact_json(limit);
}

json::Value system_json(const probe::SystemFacts& system) {
    return {{"product", fact_json(system.product)},
            {"hostname", fact_json(system.hostname)},
            {"distribution", fact_json(system.distribution)},
            {"kernel_release", fact_json(system.kernel_release)},
            {"kernel_command_line", fact_json(system.kernel_command_line)},
            {"container", sourced(std::string(probe::container_name(system.container)),
                                  system.container_source)},
            {"iommu", fact_json(system.iommu)},
            {"ttm_pages_limit", fact_json(system.ttm_pages_limit)},
            {"mesa_version", fact_json(system.mesa_version)},
            {"linux_firmware", fact_json(system.linux_firmware)},
            {"vulkan_loader", fact_json(system.vulkan_loader)},
            {"vulkan_drivers", system.vulkan_drivers},
            {"xrt_plugin", fact_json(system.xrt_plugin)},
            {"cpu_governor", fact_json(system.cpu_governor)},
            {"cpu_preference", fact_json(system.cpu_preference)},
            {"user", sourced(text_or_null(system.user), "/proc/self/status")},
            {"groups", sourced(system.groups, "/proc/self/status")}};
}

json::Value cpu_json(const probe::CpuFacts& cpu) {
    json::Value isas = json::Value::array();
    for (const auto isa : cpu.isas) {
        isas.push_back(std::string(kernels::isa_name(isa)));
    }
    const std::string caches = "/sys/devices/system/cpu/cpu*/cache";
    const auto cache = [&](std::size_t bytes) {
        return bytes == 0 ? json::Value(nullptr) : sourced(bytes, caches);
    };
    return {{"model_name", sourced(cpu.model_name, "/proc/cpuinfo")},
            {"cores", sourced(cpu.cores, cpu.cores_source)},
            {"threads", sourced(cpu.threads, "/proc/self/status")},
            {"flags", sourced(cpu.flags, "/proc/cpuinfo")},
            {"kernels", std::move(isas)},
            {"l2_bytes", cache(cpu.l2_bytes)},
            {"l3_bytes", cache(cpu.l3_bytes)}};
}

json::Value memory_json(const probe::MemoryFacts& memory) {
    return {{"total_bytes", fact_json(memory.total_bytes)},
            {"available_bytes", fact_json(memory.available_bytes)},
            {"swap_total_bytes", fact_json(memory.swap_total_bytes)},
            {"swap_free_bytes", fact_json(memory.swap_free_bytes)},
            {"swap_in_memory", fact_json(memory.swap_in_memory)},
            {"cgroup_limit_bytes", fact_json(memory.cgroup_limit_bytes)},
            {"cgroup_current_bytes", fact_json(memory.cgroup_current_bytes)},
            {"memlock_bytes", limit_json(memory.memlock_bytes)},
            {"pressure_some_avg10", fact_json(memory.pressure_some_avg10)}};
}

std::string_view vendor_name(probe::Vendor vendor) {
    switch (vendor) {
        case probe::Vendor::amd:
            return "amd";
        case probe::Vendor::nvidia:
            return "nvidia";
        case probe::Vendor::intel:
            return "intel";
        case probe::Vendor::other:
            break;
    }
    return "other";
}

json::Value gpu_json(const probe::GpuFacts& gpu) {
    return {{"name", gpu.name},
            {"source", "/sys/bus/pci/devices/" + gpu.pci_slot},
            {"vendor", std::string(vendor_name(gpu.vendor))},
            {"pci_id", fmt::format("{:04x}:{:04x}", gpu.pci_vendor, gpu.pci_device)},
            {"pci_slot", gpu.pci_slot},
            {"driver", text_or_null(gpu.driver)},
            {"driver_version", fact_json(gpu.driver_version)},
            {"product", text_or_null(gpu.product)},
            {"gfx", gpu.gfx.empty()
                        ? json::Value(nullptr)
                        : sourced(gpu.gfx, "/sys/class/kfd/kfd/topology/nodes/*/properties")},
            {"integrated", gpu.integrated},
            {"vram_total_bytes", fact_json(gpu.vram_total_bytes)},
            {"vram_used_bytes", fact_json(gpu.vram_used_bytes)},
            {"gtt_total_bytes", fact_json(gpu.gtt_total_bytes)},
            {"gtt_used_bytes", fact_json(gpu.gtt_used_bytes)},
            {"busy_percent", fact_json(gpu.busy_percent)},
            {"power_uw", fact_json(gpu.power_uw)},
            {"temperature_mc", fact_json(gpu.temperature_mc)},
            {"mes_firmware", fact_json(gpu.mes_firmware)},
            {"asleep", gpu.asleep},
            {"render_node", text_or_null(gpu.render_node)},
            {"render_node_usable", gpu.render_node_usable},
            {"kfd_usable", gpu.kfd_usable}};
}

json::Value npu_json(const probe::NpuFacts& npu) {
    return {{"name", text_or_null(npu.name)},
            {"source", "/sys/bus/pci/devices/" + npu.pci_slot},
            {"pci_id", fmt::format("1022:{:04x}", npu.pci_device)},
            {"pci_revision", npu.pci_revision},
            {"pci_slot", npu.pci_slot},
            {"generation", npu.generation},
            {"driver", text_or_null(npu.driver)},
            {"driver_loaded", npu.driver_loaded},
            {"driver_version", fact_json(npu.driver_version)},
            {"firmware_version", fact_json(npu.firmware_version)},
            {"firmware_files", npu.firmware_files},
            {"power_state", fact_json(npu.power_state)},
            {"device_node", text_or_null(npu.device_node)},
            {"device_node_usable", npu.device_node_usable}};
}

json::Value engine_json(const probe::Engine& engine) {
    json::Value devices = json::Value::array();
    for (const probe::EngineDevice& device : engine.devices) {
        devices.push_back({{"name", device.name},
                           {"description", device.description},
                           {"total_bytes", device.total_bytes},
                           {"free_bytes", device.free_bytes}});
    }
    json::Value validation = nullptr;
    if (auto parsed = json::parse(engine.validation); parsed) {
        validation = std::move(*parsed);
    }
    return {{"kind", engine.kind},
            {"path", engine.path},
            {"version", text_or_null(engine.version)},
            {"devices", std::move(devices)},
            {"flags", engine.flags},
            {"validation", std::move(validation)},
            {"xrt_plugin", text_or_null(engine.xrt_plugin)},
            {"problem", text_or_null(engine.problem)}};
}

json::Value vulkan_json(const probe::VulkanDevice& device) {
    json::Value heaps = json::Value::array();
    for (const probe::VulkanHeap& heap : device.heaps) {
        heaps.push_back({{"bytes", heap.bytes},
                         {"budget_bytes", heap.budget_bytes},
                         {"device_local", heap.device_local}});
    }
    return {{"name", device.name},
            {"type", device.type},
            {"api_version", device.api_version},
            {"driver", text_or_null(device.driver)},
            {"pci_id", fmt::format("{:04x}:{:04x}", device.pci_vendor, device.pci_device)},
            {"heaps", std::move(heaps)}};
}

/// An array of what `convert` makes of each.
template <class Things, class Convert>
json::Value array_of(const Things& things, Convert convert) {
    json::Value array = json::Value::array();
    for (const auto& thing : things) {
        array.push_back(convert(thing));
    }
    return array;
}

struct Mark {
    std::string_view sign;
    std::string_view colour;
};

Mark mark_of(State state, const Palette& colours) {
    switch (state) {
        case State::ok:
            return {"✓", colours.green};
        case State::skipped:
            return {"·", colours.dim};
        case State::unknown:
            return {"?", colours.cyan};
        case State::warning:
            return {"!", colours.yellow};
        case State::failure:
            break;
    }
    return {"✗", colours.red};
}

/// Prose is cut between words; commands stay whole, so that they can be copied.
std::vector<std::string> wrapped(std::string_view line, bool is_prose) {
    std::vector<std::string> lines;
    while (is_prose && line.size() > kWrapColumns) {
        const std::size_t space = line.rfind(' ', kWrapColumns);
        if (space == std::string_view::npos || space == 0) {
            break;
        }
        lines.emplace_back(line.substr(0, space));
        line.remove_prefix(space + 1);
    }
    lines.emplace_back(line);
    return lines;
}

/// Sentences of the fixes begin with a capital, a quote or a parenthesis; commands do not.
bool is_sentence(std::string_view line) {
    return !line.empty() &&
           ((line[0] >= 'A' && line[0] <= 'Z') || line[0] == '"' || line[0] == '(');
}

void append_block(std::string& out, std::string_view label, std::string_view text, bool evidence) {
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        for (const std::string& part : wrapped(line, evidence || is_sentence(line))) {
            out += fmt::format("    {:<6}{}\n", label, printable(part));
            label = "";
        }
    }
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string summary(std::span<const doctor::Finding> findings, bool all) {
    std::map<State, std::size_t> counts;
    for (const doctor::Finding& finding : findings) {
        ++counts[finding.state];
    }
    Phrases parts;
    if (counts[State::failure] > 0) {
        parts.add(counted(counts[State::failure], "failure", "failures"));
    }
    if (counts[State::warning] > 0) {
        parts.add(counted(counts[State::warning], "warning", "warnings"));
    }
    if (counts[State::unknown] > 0) {
        parts.add(fmt::format("{} unknown", counts[State::unknown]));
    }
    parts.add(fmt::format("{} fine", counts[State::ok]));
    if (counts[State::skipped] > 0) {
        parts.add(counted(counts[State::skipped], "does not apply here", "do not apply here") +
                  (all ? "" : " (--all)"));
    }
    return parts.text();
}

}  // namespace

probe::EngineSearch engine_search(const EngineWishes& wishes) {
    probe::EngineSearch search;
    search.programs = wishes.programs;
    for (const lane::Descriptor& kind : lane::descriptors()) {
        for (const std::string_view program : kind.programs) {
            search.programs.emplace_back(kind.kind, program);
        }
    }
    search.directories = wishes.path;
    search.directories.insert(search.directories.end(), kProgramFolders.begin(),
                              kProgramFolders.end());
    search.environment = wishes.environment;
    // FLM looks for updates when it starts, which nobody asked for.
    search.environment.emplace_back("FLM_DISABLE_UPDATE_CHECK=1");
    return search;
}

Result<Survey> survey(const std::string& root, const EngineWishes& wishes) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (!root.empty() && !fs::is_directory(root + "/proc", ignored) &&
        !fs::is_directory(root + "/sys", ignored)) {
        return fail(Fault::not_found,
                    "{} holds neither proc/ nor sys/; give --root a copy of a machine's tree",
                    root);
    }
    Survey survey;
    survey.machine = probe::read_machine(root);
    survey.asked = survey.machine.root.empty();
    if (survey.asked) {
        survey.vulkan = probe::vulkan_devices();
        survey.engines = probe::find_engines(engine_search(wishes));
        probe::learn(survey.machine, survey.engines, survey.vulkan);
    }
    return survey;
}

std::string probe_text(const Survey& survey, bool colour) {
    Page page(colour);
    const probe::Machine& machine = survey.machine;
    write_system(page, machine);
    write_cpu(page, machine.cpu);
    write_memory(page, machine);
    for (const probe::GpuFacts& gpu : machine.gpus) {
        write_gpu(page, gpu);
    }
    for (const probe::NpuFacts& npu : machine.npus) {
        write_npu(page, npu);
    }
    write_power(page, machine.power);
    write_vulkan(page, survey.vulkan);
    write_engines(page, survey);
    return page.take() + fmt::format(
                             "\n{}With the source of every fact: trilane probe --json. What "
                             "to mend: trilane doctor{}\n",
                             page.colours().dim, page.colours().end);
}

json::Value probe_json(const Survey& survey) {
    const probe::Machine& machine = survey.machine;
    json::Value pools = json::Value::array();
    for (const probe::MemoryPool& pool : machine.pools) {
        pools.push_back({{"name", pool.name},
                         {"total_bytes", pool.total_bytes},
                         {"available_bytes", pool.available_bytes},
                         {"source", pool.source}});
    }
    json::Value meters = json::Value::array();
    for (const probe::PowerMeter& meter : machine.power) {
        meters.push_back({{"name", meter.name},
                          {"kind", meter.kind},
                          {"source", meter.source},
                          {"readable", meter.readable}});
    }
    json::Value out{{"root", text_or_null(machine.root)},
                    {"platform", machine.platform},
                    {"system", system_json(machine.system)},
                    {"cpu", cpu_json(machine.cpu)},
                    {"memory", memory_json(machine.memory)},
                    {"pools", std::move(pools)},
                    {"gpus", array_of(machine.gpus, gpu_json)},
                    {"npus", array_of(machine.npus, npu_json)},
                    {"power", std::move(meters)}};
    if (survey.asked) {
        out["vulkan"] = array_of(survey.vulkan, vulkan_json);
        out["engines"] = array_of(survey.engines, engine_json);
    }
    return out;
}

std::string doctor_text(std::span<const doctor::Finding> findings, bool all, bool colour) {
    const Palette& colours = palette(colour);
    std::size_t width = 0;
    for (const doctor::Finding& finding : findings) {
        width = std::max(width, finding.id.size());
    }
    std::string out;
    for (const doctor::Finding& finding : findings) {
        if (finding.state == State::skipped && !all) {
            continue;
        }
        const Mark mark = mark_of(finding.state, colours);
        out += fmt::format("{}{}{} {:<{}}  {}\n", mark.colour, mark.sign, colours.end, finding.id,
                           width, printable(finding.title));
        if (finding.state == State::skipped) {
            append_block(out, "why", finding.evidence, true);
        } else if (finding.state != State::ok) {
            append_block(out, "seen", finding.evidence, true);
            append_block(out, "fix", finding.fix, false);
        }
    }
    return out + '\n' + summary(findings, all) + '\n';
}

json::Value doctor_json(const std::vector<doctor::Finding>& findings) {
    json::Value list = json::Value::array();
    State worst = State::ok;
    for (const doctor::Finding& finding : findings) {
        worst = std::max(worst, finding.state);
        list.push_back({{"id", finding.id},
                        {"title", finding.title},
                        {"state", std::string(doctor::state_name(finding.state))},
                        {"evidence", finding.evidence},
                        {"fix", text_or_null(finding.fix)}});
    }
    return {{"worst", std::string(doctor::state_name(worst))},
            {"exit_code", doctor::exit_code(findings)},
            {"findings", std::move(list)}};
}

}  // namespace trilane::app
