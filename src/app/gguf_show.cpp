#include "app/gguf_show.h"

#include <algorithm>
#include <map>

#include "app/model_files.h"
#include "app/output.h"
#include "app/verbs.h"
#include "gguf/gguf.h"
#include "json/json.h"
#include "model/config.h"

namespace trilane::app {
namespace {

constexpr std::size_t kArrayElementsShown = 4;
constexpr std::size_t kTextBytesShown = 72;
constexpr std::size_t kJsonElementsShown = 8;

struct TypeShare {
    std::uint64_t tensors = 0;
    std::uint64_t weights = 0;
    std::uint64_t bytes = 0;
};

std::uint64_t weights_of(const gguf::File& file) {
    std::uint64_t weights = 0;
    for (const gguf::Tensor& tensor : file.tensors()) {
        weights += tensor.weights();
    }
    return weights;
}

/// Type name → its share, largest first.
std::vector<std::pair<std::string, TypeShare>> shares_by_type(const gguf::File& file) {
    std::map<std::string, TypeShare> by_name;
    for (const gguf::Tensor& tensor : file.tensors()) {
        TypeShare& share = by_name[gguf::type_label(tensor.type)];
        ++share.tensors;
        share.weights += tensor.weights();
        share.bytes += tensor.bytes;
    }
    std::vector<std::pair<std::string, TypeShare>> shares(by_name.begin(), by_name.end());
    std::stable_sort(shares.begin(), shares.end(),
                     [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
    return shares;
}

std::string shape_text(const gguf::Tensor& tensor) {
    std::string text;
    for (std::uint32_t d = 0; d < tensor.dimensions; ++d) {
        text += fmt::format("{}{}", d == 0 ? "" : " × ", tensor.shape[d]);
    }
    return text;
}

std::string element_text(const gguf::Array& array, std::size_t i) {
    switch (array.kind()) {
        case gguf::ValueKind::string:
            return in_quotes(array.string(i), kTextBytesShown / kArrayElementsShown);
        case gguf::ValueKind::f32:
        case gguf::ValueKind::f64:
            return fmt::format("{:g}", array.number(i));
        case gguf::ValueKind::boolean:
            return array.integer(i) != 0 ? "true" : "false";
        default:
            return fmt::format("{}", array.integer(i));
    }
}

std::string value_text(const gguf::Value& value) {
    if (const auto* array = std::get_if<gguf::Array>(&value)) {
        std::string text = fmt::format("[{}]", array->size());
        for (std::size_t i = 0; i < std::min(array->size(), kArrayElementsShown); ++i) {
            text += (i == 0 ? " " : ", ") + element_text(*array, i);
        }
        return text + (array->size() > kArrayElementsShown ? ", …" : "");
    }
    if (const auto* text = std::get_if<std::string_view>(&value)) {
        return printable(*text, kTextBytesShown);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return fmt::format("{:g}", *number);
    }
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        return fmt::format("{}", *integer);
    }
    return fmt::format("{}", std::get<std::uint64_t>(value));
}

std::string kind_text(const gguf::Entry& entry) {
    const auto* array = std::get_if<gguf::Array>(&entry.value);
    return array == nullptr ? std::string(gguf::kind_name(entry.kind))
                            : fmt::format("{}[]", gguf::kind_name(array->kind()));
}

json::Value element_json(const gguf::Array& array, std::size_t i) {
    switch (array.kind()) {
        case gguf::ValueKind::string:
            return std::string(array.string(i));
        case gguf::ValueKind::f32:
        case gguf::ValueKind::f64:
            return array.number(i);
        case gguf::ValueKind::boolean:
            return array.integer(i) != 0;
        case gguf::ValueKind::u64:
            return static_cast<std::uint64_t>(array.integer(i));
        default:
            return array.integer(i);
    }
}

json::Value value_json(const gguf::Value& value) {
    if (const auto* array = std::get_if<gguf::Array>(&value)) {
        json::Value first = json::Value::array();
        for (std::size_t i = 0; i < std::min(array->size(), kJsonElementsShown); ++i) {
            first.push_back(element_json(*array, i));
        }
        return {{"count", array->size()}, {"first", std::move(first)}};
    }
    return std::visit(
        [](const auto& held) -> json::Value {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::string_view>) {
                return std::string(held);
            } else if constexpr (std::is_same_v<Held, gguf::Array>) {
                return nullptr;
            } else {
                return held;
            }
        },
        value);
}

}  // namespace

Status runs_here(const gguf::File& file) {
    if (auto config = model::read_config(file); !config) {
        return tl::unexpected(std::move(config).error());
    }
    for (const gguf::Tensor& tensor : file.tensors()) {
        TRILANE_TRY_STATUS(gguf::require_readable(tensor));
    }
    return {};
}

std::string show_text(const gguf::File& file, const std::string& path, bool tensors) {
    const std::uint64_t weights = weights_of(file);
    std::string out =
        fmt::format("{}\nGGUF v{}, {}, {} metadata entries, {} tensors, {} weights\n",
                    printable(path), file.version(), human_bytes(file.file_bytes()),
                    file.metadata().size(), file.tensors().size(), human_count(weights));

    std::vector<std::vector<std::string>> rows{{"METADATA", "TYPE", "VALUE"}};
    for (const gguf::Entry& entry : file.metadata()) {
        rows.push_back({printable(entry.key), kind_text(entry), value_text(entry.value)});
    }
    out += '\n' + table(rows);

    rows = {{"WEIGHT TYPE", ">TENSORS", ">WEIGHTS", ">BYTES", ">SHARE", ">BITS/WEIGHT"}};
    const auto total = static_cast<double>(file.file_bytes());
    for (const auto& [name, share] : shares_by_type(file)) {
        const auto bytes = static_cast<double>(share.bytes);
        const auto count = static_cast<double>(std::max<std::uint64_t>(share.weights, 1));
        rows.push_back({name, fmt::format("{}", share.tensors), human_count(share.weights),
                        human_bytes(share.bytes), fmt::format("{:.1f} %", 100.0 * bytes / total),
                        fmt::format("{:.2f}", 8.0 * bytes / count)});
    }
    out += '\n' + table(rows);

    if (tensors) {
        rows = {{"TENSOR", "TYPE", "SHAPE", ">BYTES", ">OFFSET"}};
        for (const gguf::Tensor& tensor : file.tensors()) {
            rows.push_back({printable(tensor.name), gguf::type_label(tensor.type),
                            shape_text(tensor), fmt::format("{}", tensor.bytes),
                            fmt::format("{}", tensor.offset)});
        }
        out += '\n' + table(rows);
    }

    const Status runs = runs_here(file);
    out += runs ? "\nTrilane runs this file.\n"
                : fmt::format("\nTrilane cannot run this file: {}\n", runs.error().message);
    return out;
}

json::Value show_json(const gguf::File& file, const std::string& path, bool tensors) {
    json::Value out{{"file", path},
                    {"version", file.version()},
                    {"bytes", file.file_bytes()},
                    {"weights", weights_of(file)}};
    json::Value& metadata = out["metadata"] = json::Value::object();
    for (const gguf::Entry& entry : file.metadata()) {
        metadata[std::string(entry.key)] = value_json(entry.value);
    }
    json::Value& types = out["types"] = json::Value::array();
    for (const auto& [name, share] : shares_by_type(file)) {
        types.push_back({{"type", name},
                         {"tensors", share.tensors},
                         {"weights", share.weights},
                         {"bytes", share.bytes}});
    }
    out["tensor_count"] = file.tensors().size();
    if (tensors) {
        json::Value& list = out["tensors"] = json::Value::array();
        for (const gguf::Tensor& tensor : file.tensors()) {
            json::Value shape = json::Value::array();
            for (std::uint32_t d = 0; d < tensor.dimensions; ++d) {
                shape.push_back(tensor.shape[d]);
            }
            list.push_back({{"name", std::string(tensor.name)},
                            {"type", gguf::type_label(tensor.type)},
                            {"shape", std::move(shape)},
                            {"bytes", tensor.bytes},
                            {"offset", tensor.offset}});
        }
    }
    const Status runs = runs_here(file);
    out["runs"] = runs.has_value();
    if (!runs) {
        out["runs_not_because"] = runs.error().message;
    }
    return out;
}

Result<int> perform(const GgufShowOptions& options) {
    TRILANE_TRY(const ModelFile found, find_model(options.file, options.model_dirs));
    TRILANE_TRY(const auto file, gguf::File::open(found.path));
    TRILANE_TRY_STATUS(
        print(options.json ? json::dump_pretty(show_json(*file, found.path, options.tensors)) + '\n'
                           : show_text(*file, found.path, options.tensors)));
    return 0;
}

}  // namespace trilane::app
