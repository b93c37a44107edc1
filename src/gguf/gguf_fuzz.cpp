// Fuzz: any bytes either parse or are refused; what parses can be read to the last byte.
#include <cstddef>
#include <cstdint>

#include "gguf/gguf.h"

namespace {

using trilane::gguf::Array;
using trilane::gguf::Entry;
using trilane::gguf::File;
using trilane::gguf::Tensor;
using trilane::gguf::ValueKind;

std::uint64_t read_array(const Array& array) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < array.size(); ++i) {
        if (array.kind() == ValueKind::string) {
            for (const char c : array.string(i)) {
                sum += static_cast<unsigned char>(c);
            }
        } else {
            sum += array.number(i) > 0 ? 1 : 0;
        }
    }
    return sum;
}

std::uint64_t read_all(const File& file) {
    std::uint64_t sum = 0;
    for (const Entry& entry : file.metadata()) {
        if (file.find(entry.key) != &entry) {
            __builtin_trap();
        }
        sum += file.integer(entry.key).value_or(0) + file.string(entry.key).value_or("").size();
        if (const Array* array = file.array(entry.key)) {
            sum += read_array(*array);
        }
    }
    for (const Tensor& tensor : file.tensors()) {
        if (file.find_tensor(tensor.name) != &tensor) {
            __builtin_trap();
        }
        sum += trilane::gguf::require_readable(tensor) ? 1 : 0;
        for (const std::byte b : file.data(tensor)) {
            sum += std::to_integer<std::uint64_t>(b);
        }
    }
    return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = File::parse({reinterpret_cast<const std::byte*>(data), size});
    volatile std::uint64_t sink = file ? read_all(**file) : 0;
    static_cast<void>(sink);
    return 0;
}
