// A stand-in for Vulkan's loader with two devices: one that says all it can, one that says little.
#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace {

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;

template <class Handle>
Handle handle(std::uintptr_t number) {
    return reinterpret_cast<Handle>(number);
}

bool is_first(VkPhysicalDevice device) {
    return device == handle<VkPhysicalDevice>(1);
}

VkResult create_instance(const VkInstanceCreateInfo*, const VkAllocationCallbacks*,
                         VkInstance* instance) {
    *instance = handle<VkInstance>(7);
    return VK_SUCCESS;
}

VkResult enumerate_devices(VkInstance, std::uint32_t* count, VkPhysicalDevice* devices) {
    devices[0] = handle<VkPhysicalDevice>(1);
    devices[1] = handle<VkPhysicalDevice>(2);
    *count = 2;
    return VK_SUCCESS;
}

VkResult enumerate_extensions(VkPhysicalDevice device, const char*, std::uint32_t* count,
                              VkExtensionProperties* extensions) {
    if (extensions != nullptr && *count > 0) {
        std::strcpy(static_cast<char*>(extensions[0].extensionName),
                    VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    }
    *count = is_first(device) ? 1 : 0;
    return VK_SUCCESS;
}

void properties(VkPhysicalDevice device, VkPhysicalDeviceProperties2* answer) {
    VkPhysicalDeviceProperties& basic = answer->properties;
    basic.apiVersion = VK_MAKE_API_VERSION(0, 1, 4, 311);
    basic.vendorID = is_first(device) ? 0x1002 : 0x10005;
    basic.deviceID = is_first(device) ? 0x1586 : 0;
    basic.deviceType =
        is_first(device) ? VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU : VK_PHYSICAL_DEVICE_TYPE_CPU;
    std::strcpy(static_cast<char*>(basic.deviceName),
                is_first(device) ? "Radeon 8060S Graphics (RADV GFX1151)" : "llvmpipe \"quoted\"");
    if (is_first(device)) {
        auto* driver = static_cast<VkPhysicalDeviceDriverProperties*>(answer->pNext);
        std::strcpy(static_cast<char*>(driver->driverName), "radv");
        std::strcpy(static_cast<char*>(driver->driverInfo), "Mesa 25.3.6");
    }
}

void memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2* answer) {
    answer->memoryProperties.memoryHeapCount = 1;
    answer->memoryProperties.memoryHeaps[0].size = 118 * kGibibyte;
    if (is_first(device)) {
        answer->memoryProperties.memoryHeaps[0].flags = VK_MEMORY_HEAP_DEVICE_LOCAL_BIT;
        auto* budget = static_cast<VkPhysicalDeviceMemoryBudgetPropertiesEXT*>(answer->pNext);
        budget->heapBudget[0] = 100 * kGibibyte;
    }
}

template <class Function>
PFN_vkVoidFunction plain(Function function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
}

}  // namespace

extern "C" PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance, const char* wanted) {
    const std::string_view name = wanted;
    if (name == "vkCreateInstance") {
        return plain(&create_instance);
    }
    if (name == "vkEnumeratePhysicalDevices") {
        return plain(&enumerate_devices);
    }
    if (name == "vkEnumerateDeviceExtensionProperties") {
        return plain(&enumerate_extensions);
    }
    if (name == "vkGetPhysicalDeviceProperties2") {
        return plain(&properties);
    }
    return name == "vkGetPhysicalDeviceMemoryProperties2" ? plain(&memory) : nullptr;
}
