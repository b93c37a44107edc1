// A stand-in for Vulkan's loader whose driver is broken: it ends the process that asks it.
#include <csignal>

extern "C" void* vkGetInstanceProcAddr(void*, const char*) {
    std::raise(SIGSEGV);
    return nullptr;
}
