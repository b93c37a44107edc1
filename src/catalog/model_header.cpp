#include "catalog/model_header.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>

#include "catalog/file_names.h"
#include "gguf/gguf.h"
#include "os/mapped_file.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPoolingRank = 4;
constexpr std::uint32_t kWhisperMagic = 0x67676d6c;
constexpr std::size_t kWhisperHeaderWords = 12;  // the magic, then eleven sizes
constexpr std::size_t kWhisperTextContext = 6;   // word that holds n_text_ctx

std::uint32_t clamped(std::uint64_t value) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(value, std::numeric_limits<std::uint32_t>::max()));
}

Result<ModelHeader> read_whisper_header(const std::string& path) {
    TRILANE_TRY(const os::MappedFile file, os::MappedFile::open(path));
    std::array<std::uint32_t, kWhisperHeaderWords> words{};
    if (file.bytes().size() < sizeof words) {
        return fail(Fault::corrupt, "{} is too short for a whisper model; pull it again", path);
    }
    std::memcpy(words.data(), file.bytes().data(), sizeof words);
    if (words[0] != kWhisperMagic || words[kWhisperTextContext] > 65'536) {
        return fail(Fault::corrupt, "{} is no whisper model; pull it again", path);
    }
    ModelHeader header;
    header.architecture = "whisper";
    header.bytes = file.bytes().size();
    header.context_tokens = words[kWhisperTextContext];
    return header;
}

Result<ModelHeader> read_gguf_header(const std::string& path) {
    TRILANE_TRY(const auto file, gguf::File::open(path));
    ModelHeader header;
    header.architecture = shown(file->string("general.architecture").value_or(""));
    header.type = shown(file->string("general.type").value_or(""));
    header.licence = shown(file->string("general.license").value_or(""));
    header.bytes = file->file_bytes();
    header.context_tokens =
        clamped(file->integer(header.architecture + ".context_length").value_or(0));
    header.pooling = file->integer(header.architecture + ".pooling_type");
    std::map<std::uint32_t, std::uint64_t> bytes_by_type;
    for (const gguf::Tensor& tensor : file->tensors()) {
        header.parameters += tensor.weights();
        bytes_by_type[tensor.type] += tensor.bytes;
    }
    const auto widest =
        std::max_element(bytes_by_type.begin(), bytes_by_type.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (widest != bytes_by_type.end()) {
        header.widest_type = gguf::type_label(widest->first);
    }
    return header;
}

Purpose purpose_of(const ModelHeader& header, std::string_view id, std::string_view file_name) {
    Purpose named = purpose_by_name(file_name);
    named = named == Purpose::unknown ? purpose_by_name(id) : named;
    if (header.pooling == kPoolingRank || named == Purpose::rerank) {
        return Purpose::rerank;
    }
    if (const Purpose known = purpose_by_architecture(header.architecture);
        known != Purpose::unknown) {
        return known;
    }
    if (header.pooling.value_or(0) > 0) {
        return Purpose::embed;
    }
    if (named != Purpose::unknown) {
        return named;
    }
    return header.architecture.empty() ? Purpose::unknown : Purpose::chat;
}

std::int64_t changed_unix_s(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_mtim.tv_sec : 0;
}

}  // namespace

bool ModelHeader::is_model() const {
    constexpr std::array<std::string_view, 5> kOthers{"mmproj", "adapter", "imatrix", "vocab",
                                                      "control_vector"};
    return architecture != "clip" &&
           std::find(kOthers.begin(), kOthers.end(), type) == kOthers.end();
}

Result<ModelHeader> read_model_header(const std::string& path) {
    return is_whisper_file(base_name(path)) ? read_whisper_header(path) : read_gguf_header(path);
}

Result<Entry> entry_of(const FoundModel& model, const HeaderSource& headers) {
    if (!model.problem.empty() || model.paths.empty()) {
        return fail(Fault::corrupt, "{}: {}", model.id,
                    model.problem.empty() ? "no file" : model.problem);
    }
    Entry entry;
    entry.id = model.id;
    entry.path = model.paths.front();
    entry.more_paths.assign(model.paths.begin() + 1, model.paths.end());
    entry.projector_path = model.projector;
    TRILANE_TRY(const ModelHeader first, headers(entry.path));
    if (!first.is_model()) {
        return fail(Fault::invalid,
                    "{} is no model by itself ({}); put it into the folder of the model "
                    "it goes with",
                    entry.path, first.type.empty() ? first.architecture : first.type);
    }
    entry.bytes = first.bytes;
    entry.parameters = first.parameters;
    for (const std::string& path : entry.more_paths) {
        TRILANE_TRY(const ModelHeader more, headers(path));
        entry.bytes += more.bytes;
        entry.parameters += more.parameters;
    }
    if (!entry.projector_path.empty()) {
        TRILANE_TRY(const ModelHeader projector, headers(entry.projector_path));
        entry.bytes += projector.bytes;
    }
    const std::string_view file_name = base_name(entry.path);
    entry.architecture = first.architecture;
    entry.licence = first.licence;
    entry.context_tokens = first.context_tokens;
    entry.purpose = purpose_of(first, entry.id, file_name);
    entry.quantization = quantization_of(file_name);
    if (entry.quantization.empty()) {
        entry.quantization = first.widest_type;
    }
    entry.added_unix_s = changed_unix_s(entry.path);
    if (model.manifest) {
        const Manifest& manifest = *model.manifest;
        if (!manifest.repository.empty()) {
            entry.repository = manifest.repository + '@' +
                               (manifest.commit.empty() ? manifest.revision : manifest.commit);
        }
        entry.added_unix_s = manifest.added_unix_s;
    }
    return entry;
}

Result<Entry> entry_of_file(const std::string& path) {
    FoundModel model;
    model.id = model_stem(base_name(path));
    if (const auto shard = shard_of(base_name(path))) {
        const std::string folder = path.substr(0, path.size() - base_name(path).size());
        for (std::uint32_t n = 1; n <= shard->count; ++n) {
            model.paths.push_back(
                fmt::format("{}{}-{:05}-of-{:05}.gguf", folder, shard->stem, n, shard->count));
        }
    } else {
        model.paths.push_back(path);
    }
    return entry_of(model, read_model_header);
}

}  // namespace trilane::catalog
