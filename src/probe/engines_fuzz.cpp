// Fuzzes the readers of what engines print and of the kernel's small texts.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "probe/engines.h"
#include "probe/tree.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace trilane::probe;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    parse_device_list(text);
    for (const std::string& flag : parse_flags(text)) {
        if (!flag.starts_with("--") || flag.size() < 3) {
            __builtin_trap();
        }
    }
    parse_llama_version(text);
    parse_flm_version(text);
    value_of(text, "Max locked memory");
    words_of(text);
    leading_number(text);
    return 0;
}
