#include "probe/vulkan.h"

#define VK_NO_PROTOTYPES
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "json/json.h"
#include "probe/ask.h"

namespace trilane::probe {
namespace {

constexpr std::uint32_t kDevicesMax = 16;
constexpr std::uint32_t kExtensionsMax = 1024;

/// Vulkan's functions, as the loader hands them out.
struct Functions {
    PFN_vkGetInstanceProcAddr of_instance = nullptr;
    VkInstance instance = VK_NULL_HANDLE;

    template <class Function>
    [[nodiscard]] Function get(const char* name) const {
        return reinterpret_cast<Function>(of_instance(instance, name));
    }
};

std::string_view type_name(VkPhysicalDeviceType type) {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
            return "integrated";
        case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
            return "discrete";
        case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
            return "virtual";
        case VK_PHYSICAL_DEVICE_TYPE_CPU:
            return "cpu";
        default:
            return "other";
    }
}

std::string version_text(std::uint32_t version) {
    return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                       VK_API_VERSION_PATCH(version));
}

bool has_extension(const Functions& vulkan, VkPhysicalDevice device, const char* name) {
    const auto enumerate = vulkan.get<PFN_vkEnumerateDeviceExtensionProperties>(
        "vkEnumerateDeviceExtensionProperties");
    std::uint32_t count = 0;
    if (enumerate == nullptr || enumerate(device, nullptr, &count, nullptr) != VK_SUCCESS) {
        return false;
    }
    count = std::min(count, kExtensionsMax);
    std::vector<VkExtensionProperties> extensions(count);
    enumerate(device, nullptr, &count, extensions.data());
    return std::any_of(extensions.begin(), extensions.end(), [&](const auto& extension) {
        return std::strcmp(static_cast<const char*>(extension.extensionName), name) == 0;
    });
}

json::Value describe(const Functions& vulkan, VkPhysicalDevice device) {
    const auto properties_of =
        vulkan.get<PFN_vkGetPhysicalDeviceProperties2>("vkGetPhysicalDeviceProperties2");
    const auto memory_of = vulkan.get<PFN_vkGetPhysicalDeviceMemoryProperties2>(
        "vkGetPhysicalDeviceMemoryProperties2");
    VkPhysicalDeviceDriverProperties driver{};
    driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &driver;
    properties_of(device, &properties);

    const bool has_budget = has_extension(vulkan, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{};
    memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    memory.pNext = has_budget ? &budget : nullptr;
    memory_of(device, &memory);

    json::Value heaps = json::Value::array();
    for (std::uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
        heaps.push_back({{"bytes", heap.size},
                         {"budget_bytes", has_budget ? budget.heapBudget[i] : 0},
                         {"device_local", (heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0}});
    }
    const VkPhysicalDeviceProperties& basic = properties.properties;
    std::string driver_text = static_cast<const char*>(driver.driverName);
    driver_text += driver_text.empty() ? "" : " ";
    driver_text += static_cast<const char*>(driver.driverInfo);
    return {{"name", static_cast<const char*>(basic.deviceName)},
            {"type", type_name(basic.deviceType)},
            {"api_version", version_text(basic.apiVersion)},
            {"driver", driver_text},
            {"pci_vendor", basic.vendorID},
            {"pci_device", basic.deviceID},
            {"heaps", std::move(heaps)}};
}

/// Runs in the child: whatever goes wrong in here is the child's end only.
json::Value enumerate(const std::string& loader) {
    json::Value found = json::Value::array();
    void* library = ::dlopen(loader.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return found;
    }
    Functions vulkan;
    vulkan.of_instance =
        reinterpret_cast<PFN_vkGetInstanceProcAddr>(::dlsym(library, "vkGetInstanceProcAddr"));
    if (vulkan.of_instance == nullptr) {
        return found;
    }
    const auto create = vulkan.get<PFN_vkCreateInstance>("vkCreateInstance");
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "trilane";
    application.apiVersion = VK_API_VERSION_1_2;
    VkInstanceCreateInfo wishes{};
    wishes.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    wishes.pApplicationInfo = &application;
    if (create == nullptr || create(&wishes, nullptr, &vulkan.instance) != VK_SUCCESS) {
        return found;
    }
    const auto list = vulkan.get<PFN_vkEnumeratePhysicalDevices>("vkEnumeratePhysicalDevices");
    std::array<VkPhysicalDevice, kDevicesMax> devices{};
    std::uint32_t count = kDevicesMax;
    const VkResult listed = list(vulkan.instance, &count, devices.data());
    if (listed == VK_SUCCESS || listed == VK_INCOMPLETE) {
        for (std::uint32_t i = 0; i < count; ++i) {
            found.push_back(describe(vulkan, devices[i]));
        }
    }
    return found;
}

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written <= 0) {
            return;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Drivers print what they like and dump cores of what they like: not here.
void keep_quiet() {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        ::dup2(nothing, stream);
    }
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGTERM, SIGINT}) {
        ::signal(signal, SIG_DFL);
    }
}

[[noreturn]] void answer_and_end(const std::string& loader, int descriptor) {
    ::setpgid(0, 0);
    // Above the standard streams, which are about to go.
    const int answer = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    keep_quiet();
    write_all(answer, json::dump(enumerate(loader)));
    // Nothing of this process's, nor of a driver's, may run at the end.
    ::_exit(0);
}

std::string text_of(const json::Value& one, const char* key) {
    const auto found = one.find(key);
    return found != one.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class Number>
Number number_of(const json::Value& one, const char* key) {
    const auto found = one.find(key);
    return found != one.end() && found->is_number_unsigned() ? found->get<Number>() : Number{0};
}

VulkanDevice device_of(const json::Value& one) {
    VulkanDevice device;
    device.name = text_of(one, "name");
    device.type = text_of(one, "type");
    device.api_version = text_of(one, "api_version");
    device.driver = text_of(one, "driver");
    device.pci_vendor = number_of<std::uint32_t>(one, "pci_vendor");
    device.pci_device = number_of<std::uint32_t>(one, "pci_device");
    const auto heaps = one.find("heaps");
    for (const json::Value& heap : heaps == one.end() ? json::Value::array() : *heaps) {
        const auto local = heap.find("device_local");
        device.heaps.push_back({number_of<std::uint64_t>(heap, "bytes"),
                                number_of<std::uint64_t>(heap, "budget_bytes"),
                                local != heap.end() && *local == true});
    }
    return device;
}

}  // namespace

std::vector<VulkanDevice> vulkan_devices(const VulkanSearch& search) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        return {};
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        answer_and_end(search.loader, pipe[1]);
    }
    ::close(pipe[1]);
    if (pid < 0) {
        ::close(pipe[0]);
        return {};
    }
    ::setpgid(pid, pid);
    const Answer answer = gather({pid, pipe[0], -1}, search.patience);
    const auto parsed = json::parse(answer.out);
    std::vector<VulkanDevice> devices;
    if (answer.exit_code == 0 && parsed && parsed->is_array()) {
        for (const json::Value& one : *parsed) {
            devices.push_back(device_of(one));
        }
    }
    return devices;
}

}  // namespace trilane::probe
