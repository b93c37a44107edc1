// The configuration's reader over arbitrary text; what it accepts must read the same when shown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace trilane::config;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Checked checked = read_config(text, "fuzz");
    if (checked.good()) {
        const std::string shown = effective_text(checked.config);
        const Checked again = read_config(shown, "shown");
        if (!again.good() || effective_text(again.config) != shown) {
            std::abort();
        }
    }
    return 0;
}
