// Fuzzes what becomes of a program's output: whatever it prints, in whatever pieces, the lines are
// the same and safe to show.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/utf8.h"
#include "os/line_assembler.h"

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

std::vector<std::string> lines_of(std::string_view bytes, std::size_t piece_bytes) {
    trilane::os::LineAssembler assembler;
    std::vector<std::string> lines;
    while (!bytes.empty()) {
        assembler.take(bytes.substr(0, piece_bytes), lines);
        bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    }
    assembler.finish(lines);
    return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto lines = lines_of(bytes, SIZE_MAX);
    require(lines == lines_of(bytes, 1 + size / 7));
    for (const std::string& line : lines) {
        require(!line.empty() && line.size() <= trilane::os::kLogLineBytesMax);
        require(trilane::is_valid_utf8(line));
        require(std::none_of(line.begin(), line.end(), [](char byte) {
            return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
        }));
    }
    return 0;
}
