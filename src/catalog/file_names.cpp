#include "catalog/file_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "base/utf8.h"

namespace trilane::catalog {
namespace {

constexpr std::string_view kGguf = ".gguf";
constexpr std::size_t kShownBytesMax = 120;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string upper_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), upper);
    return out;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
    return text.size() >= end.size() &&
           equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

std::optional<std::uint32_t> five_digits(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.size() != 5 || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

/// Nominal bits per weight, as the formats' block sizes and their usual mixtures give them.
constexpr auto kBits = std::to_array<std::pair<std::string_view, double>>({
    {"F32", 32},       {"BF16", 16.01},   {"F16", 16},         {"Q8_K_XL", 9},   {"Q8_0", 8.5},
    {"Q8_1", 9},       {"FP8", 8.2},      {"Q6_K_XL", 7},      {"Q6_K_L", 6.7},  {"Q6_K", 6.56},
    {"Q5_K_XL", 5.85}, {"Q5_K_L", 5.8},   {"Q5_K_M", 5.69},    {"Q5_K_S", 5.54}, {"Q5_K", 5.69},
    {"Q5_1", 5.68},    {"Q5_0", 5.53},    {"Q4_K_XL", 5.0},    {"Q4_K_L", 4.95}, {"Q4_K_M", 4.85},
    {"Q4_K", 4.85},    {"Q4_1", 4.7},     {"Q4_K_S", 4.58},    {"IQ4_NL", 4.5},  {"Q4_0", 4.49},
    {"NVFP4", 4.48},   {"MXFP4", 4.46},   {"MXFP4_MOE", 4.46}, {"IQ4_XS", 4.25}, {"Q3_K_XL", 4.3},
    {"Q3_K_L", 4.22},  {"Q3_K_M", 3.91},  {"Q3_K", 3.91},      {"IQ3_M", 3.66},  {"Q3_K_S", 3.5},
    {"IQ3_S", 3.44},   {"IQ3_XS", 3.3},   {"IQ3_XXS", 3.06},   {"Q2_K_XL", 3.1}, {"Q2_K_L", 3.05},
    {"Q2_K", 2.96},    {"Q2_K_S", 2.8},   {"IQ2_M", 2.7},      {"IQ2_S", 2.5},   {"IQ2_XS", 2.31},
    {"TQ2_0", 2.07},   {"IQ2_XXS", 2.06}, {"I2_S", 2.0},       {"IQ1_M", 1.75},  {"TQ1_0", 1.69},
});

struct Family {
    std::string_view letters;
    std::string_view digits;  ///< that may follow, "|16|32|"
};
constexpr auto kFamilies = std::to_array<Family>({
    {"MXFP", "|4|6|8|"},
    {"NVFP", "|4|"},
    {"BF", "|16|"},
    {"FP", "|8|16|32|"},
    {"F", "|16|32|"},
    {"IQ", "|1|2|3|4|"},
    {"TQ", "|1|2|"},
    {"Q", "|1|2|3|4|5|6|8|"},
});

/// Family letters, digits, then parts of letters or digits after '_': "IQ4_XS", "BF16".
bool is_quantization(std::string_view token) {
    if (token == "I2_S") {
        return true;
    }
    const auto letters = static_cast<std::size_t>(
        std::find_if(token.begin(), token.end(), is_digit) - token.begin());
    const auto family = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& f) {
        return f.letters == token.substr(0, letters);
    });
    if (family == kFamilies.end()) {
        return false;
    }
    std::string_view rest = token.substr(letters);
    const std::size_t digits = std::min(rest.find('_'), rest.size());
    if (family->digits.find('|' + std::string(rest.substr(0, digits)) + '|') ==
        std::string_view::npos) {
        return false;
    }
    rest.remove_prefix(digits);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('_', 1), rest.size());
        if (end < 2 || end > 5) {
            return false;
        }
        rest.remove_prefix(end);
    }
    return true;
}

std::string canonical(std::string_view token) {
    if (token == "FP16") {
        return "F16";
    }
    if (token == "FP32") {
        return "F32";
    }
    return std::string(token);
}

/// The quantization at the end of one word of a name, after any '_' of it; "" = none.
std::string_view quantization_in(std::string_view word) {
    if (is_quantization(word)) {
        return word;
    }
    for (std::size_t at = word.find('_'); at != std::string_view::npos;
         at = word.find('_', at + 1)) {
        if (is_quantization(word.substr(at + 1))) {
            return word.substr(at + 1);
        }
    }
    return {};
}

bool any_of_words(std::string_view name, std::span<const std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [name](std::string_view word) {
        return contains_ignoring_case(name, word);
    });
}

bool portable(char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-' || c == '+';
}

}  // namespace

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](char x, char y) { return lower(x) == lower(y); });
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
    return std::search(text.begin(), text.end(), part.begin(), part.end(),
                       [](char x, char y) { return lower(x) == lower(y); }) != text.end();
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

std::optional<Shard> shard_of(std::string_view file_name) {
    // stem + "-00001-of-00003" + ".gguf"
    constexpr std::size_t kSuffix = 15;
    if (!ends_with_ignoring_case(file_name, kGguf) || file_name.size() <= kSuffix + kGguf.size()) {
        return std::nullopt;
    }
    file_name.remove_suffix(kGguf.size());
    const std::string_view suffix = file_name.substr(file_name.size() - kSuffix);
    const auto number = five_digits(suffix.substr(1, 5));
    const auto count = five_digits(suffix.substr(10, 5));
    if (suffix.front() != '-' || suffix.substr(6, 4) != "-of-" || !number || !count ||
        *number == 0 || *number > *count || *count > kShardsMax) {
        return std::nullopt;
    }
    return Shard{file_name.substr(0, file_name.size() - kSuffix), *number, *count};
}

std::string_view model_stem(std::string_view file_name) {
    if (const auto shard = shard_of(file_name)) {
        return shard->stem;
    }
    const std::size_t dot = file_name.rfind('.');
    return dot == 0 ? file_name : file_name.substr(0, dot);
}

bool is_whisper_file(std::string_view file_name) {
    return file_name.starts_with("ggml-") && file_name.ends_with(".bin");
}

bool is_model_file(std::string_view file_name) {
    if (file_name.starts_with('.') || contains_ignoring_case(file_name, "imatrix")) {
        return false;
    }
    return ends_with_ignoring_case(file_name, kGguf) || is_whisper_file(file_name);
}

bool is_projector(std::string_view file_name) {
    return contains_ignoring_case(file_name, "mmproj") && ends_with_ignoring_case(file_name, kGguf);
}

std::string quantization_of(std::string_view file_name) {
    const std::string stem = upper_case(model_stem(file_name));
    std::string_view rest = stem;
    while (!rest.empty()) {
        const std::size_t cut = rest.find_last_of("-. ");
        const std::string_view word = cut == std::string_view::npos ? rest : rest.substr(cut + 1);
        rest = cut == std::string_view::npos ? std::string_view() : rest.substr(0, cut);
        const std::string_view found = quantization_in(word);
        if (found.empty()) {
            continue;
        }
        const bool dynamic = found.size() == word.size() && rest.ends_with("UD") &&
                             (rest.size() == 2 || rest[rest.size() - 3] == '-');
        return (dynamic ? "UD-" : "") + canonical(found);
    }
    return {};
}

double bits_of(std::string_view quantization) {
    if (quantization.starts_with("UD-")) {
        quantization.remove_prefix(3);
    }
    for (const auto& [name, bits] : kBits) {
        if (name == quantization) {
            return bits;
        }
    }
    // Others by their first digit: "Q4_0_8_8", "Q5_K_H".
    const auto digit = std::find_if(quantization.begin(), quantization.end(), is_digit);
    return is_quantization(quantization) && digit != quantization.end() ? *digit - '0' + 0.5 : 0;
}

Purpose purpose_by_name(std::string_view name) {
    constexpr std::array<std::string_view, 2> kRerank{"rerank", "-ranker"};
    constexpr std::array<std::string_view, 7> kEmbed{"embed",  "bge-",    "gte-",   "-e5-",
                                                     "minilm", "jina-v2", "colbert"};
    constexpr std::array<std::string_view, 2> kTranscribe{"whisper", "parakeet"};
    constexpr std::array<std::string_view, 6> kSpeak{"kokoro",  "-tts",    "tts-",
                                                     "outetts", "orpheus", "vocoder"};
    if (any_of_words(name, kRerank)) {
        return Purpose::rerank;
    }
    if (any_of_words(name, kEmbed) || lower_case(name).starts_with("e5-")) {
        return Purpose::embed;
    }
    if (any_of_words(name, kTranscribe)) {
        return Purpose::transcribe;
    }
    return any_of_words(name, kSpeak) ? Purpose::speak : Purpose::unknown;
}

Purpose purpose_by_architecture(std::string_view architecture) {
    constexpr std::array<std::string_view, 10> kImage{
        "flux", "sd1", "sd3", "sdxl", "sd2", "wan", "lumina", "qwen_image", "hidream", "z_image"};
    constexpr std::array<std::string_view, 4> kSpeak{"wavtokenizer-dec", "kokoro", "csm",
                                                     "outetts"};
    if (contains_ignoring_case(architecture, "bert") || architecture == "t5encoder" ||
        architecture == "gemma-embedding") {
        return Purpose::embed;
    }
    if (architecture == "whisper") {
        return Purpose::transcribe;
    }
    if (std::find(kSpeak.begin(), kSpeak.end(), architecture) != kSpeak.end()) {
        return Purpose::speak;
    }
    const bool image = std::any_of(kImage.begin(), kImage.end(), [&](std::string_view family) {
        return architecture.starts_with(family);
    });
    return image ? Purpose::image : Purpose::unknown;
}

Status check_remote_path(std::string_view path) {
    bool good = !path.empty() && path.size() <= kRemotePathBytesMax && is_valid_utf8(path) &&
                path.find('\\') == std::string_view::npos &&
                std::none_of(path.begin(), path.end(), [](char c) {
                    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
                });
    for (std::string_view rest = path; good && !rest.empty();) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view part = rest.substr(0, end);
        // A '/' at either end leaves an empty part, too.
        good = !part.empty() && part != "." && part != ".." && rest.size() != end + 1;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (!good) {
        return fail(Fault::corrupt,
                    "the repository lists a file called '{}', which is no name that can be stored "
                    "safely; do not use this repository",
                    shown(path));
    }
    return {};
}

std::string safe_file_name(std::string_view name) {
    constexpr std::size_t kBytesMax = 200;
    // The end of a name says what it is, so that is what is kept of a long one.
    std::string out(name.size() > kBytesMax ? name.substr(name.size() - kBytesMax) : name);
    std::replace_if(
        out.begin(), out.end(), [](char c) { return !portable(c); }, '_');
    if (out.empty() || out.front() == '.' || out.front() == '-') {
        out.insert(0, "_");
    }
    return out;
}

namespace {

/// Of the file of further names, and of what is written beside it.
bool is_reserved(std::string_view id) {
    return lower_case(id.substr(0, kNamesFile.size())) == kNamesFile;
}

}  // namespace

Status check_id(std::string_view id) {
    if (is_reserved(id)) {
        return fail(Fault::invalid,
                    "'{}' cannot name a model: files called {}… are Trilane's own; choose another "
                    "name with --id",
                    shown(id), kNamesFile);
    }
    if (id.empty() || id.size() > kIdBytesMax || id.front() == '.' || id.front() == '-' ||
        !std::all_of(id.begin(), id.end(), portable)) {
        return fail(Fault::invalid,
                    "'{}' cannot name a model; use letters, digits and . _ - + (at most {}), not "
                    "beginning with a dot or dash",
                    shown(id), kIdBytesMax);
    }
    return {};
}

std::string id_of(std::string_view repository, std::string_view variant) {
    std::string_view name = base_name(repository);
    for (const std::string_view suffix : {"-GGUF", "_GGUF", ".GGUF"}) {
        if (ends_with_ignoring_case(name, suffix) && name.size() > suffix.size()) {
            name.remove_suffix(suffix.size());
            break;
        }
    }
    std::string id;
    // A variant may be called by its file ("nomic-embed-text-v1.5-Q8_0"), and a repository for its
    // only variant ("bge-m3-Q8_0-GGUF").
    if (variant.empty() || ends_with_ignoring_case(name, variant)) {
        id = name;
    } else if (quantization_of(variant) != upper_case(variant)) {
        id = variant;
    } else {
        id = std::string(name) + '-' + std::string(variant);
    }
    id = safe_file_name(id);
    if (is_reserved(id)) {
        id.insert(0, "_");
    }
    return id.size() > kIdBytesMax ? safe_file_name(id.substr(id.size() - kIdBytesMax + 1)) : id;
}

std::string shown(std::string_view text) {
    std::string out = utf8_repaired(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            c = '?';
        }
    }
    return utf8_clipped(out, kShownBytesMax);
}

}  // namespace trilane::catalog
