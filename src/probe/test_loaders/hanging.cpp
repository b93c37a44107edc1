// A stand-in for Vulkan's loader whose driver never answers.
#include <unistd.h>

extern "C" void* vkGetInstanceProcAddr(void*, const char*) {
    while (true) {
        ::pause();
    }
}
