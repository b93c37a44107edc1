// The models that FastFlowLM keeps, as `flm list -j` prints them. Every field of a record may be
// missing; FLM's "size" is a number of parameters and its "footprint" the gigabytes of memory.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "catalog/catalog.h"
#include "catalog/file_names.h"
#include "json/json.h"

namespace trilane::catalog {
namespace {

constexpr std::size_t kModelsMax = 4096;
constexpr double kFootprintGigabytesMax = 4096;

std::string shown_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    const auto* text = found != object.end() ? found->get_ptr<const std::string*>() : nullptr;
    return text != nullptr ? shown(*text) : std::string();
}

double number_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

bool flag_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

/// A count as an integer; what is negative, not finite or absurd counts as not known.
std::uint64_t count_of(double number) {
    constexpr double kCountMax = 1e15;
    return std::isfinite(number) && number > 0 && number < kCountMax
               ? static_cast<std::uint64_t>(std::llround(number))
               : 0;
}

/// Whether FLM takes "GB" as 10^9 or 2^30 it does not say: the larger one, since too much memory is
/// the safer mistake.
std::uint64_t footprint_bytes(const json::Value& record) {
    const double gigabytes = number_at(record, "footprint");
    return std::isfinite(gigabytes) && gigabytes > 0 && gigabytes < kFootprintGigabytesMax
               ? static_cast<std::uint64_t>(gigabytes * static_cast<double>(1ULL << 30U))
               : 0;
}

bool has_label(const json::Value& record, std::string_view wanted) {
    const auto labels = record.find("label");
    if (labels == record.end()) {
        return false;
    }
    if (labels->is_string()) {
        return *labels->get_ptr<const std::string*>() == wanted;
    }
    return labels->is_array() &&
           std::any_of(labels->begin(), labels->end(), [&](const json::Value& label) {
               return label.is_string() && *label.get_ptr<const std::string*>() == wanted;
           });
}

Purpose purpose_of(const json::Value& record, std::string_view tag) {
    if (has_label(record, "embeddings")) {
        return Purpose::embed;
    }
    const Purpose named = purpose_by_name(tag);
    const bool transcribes =
        has_label(record, "transcription") || has_label(record, "realtime-transcription");
    if (named != Purpose::unknown) {
        return named;
    }
    // Chat models that also hear carry the label "audio" or "chat-transcription".
    return transcribes && !has_label(record, "chat-transcription") && !has_label(record, "audio")
               ? Purpose::transcribe
               : Purpose::chat;
}

/// "0.6B" or "600M" → a number.
std::uint64_t parameters_of(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end == text.data() + text.size()) {
        return 0;
    }
    const double unit = *end == 'B' || *end == 'b' ? 1e9 : *end == 'M' || *end == 'm' ? 1e6 : 0;
    return count_of(value * unit);
}

Entry entry_of_record(const json::Value& record, std::string tag) {
    Entry entry;
    entry.store = Store::flm;
    entry.purpose = purpose_of(record, tag);
    entry.footprint_bytes = footprint_bytes(record);
    const std::uint64_t context = count_of(number_at(record, "default_context_length"));
    entry.context_tokens = context <= UINT32_MAX ? static_cast<std::uint32_t>(context) : 0;
    entry.parameters = count_of(number_at(record, "size"));
    if (const auto details = record.find("details");
        details != record.end() && details->is_object()) {
        entry.architecture = shown_at(*details, "family");
        entry.quantization = shown_at(*details, "quantization_level");
        if (entry.parameters == 0) {
            entry.parameters = parameters_of(shown_at(*details, "parameter_size"));
        }
    }
    entry.repository = shown_at(record, "url");
    entry.id = tag;
    entry.path = std::move(tag);
    return entry;
}

}  // namespace

Result<std::vector<Entry>> parse_flm_list(std::string_view json_text) {
    auto root = json::parse(json_text);
    if (!root) {
        return fail(Fault::corrupt, "`flm list -j` prints no JSON ({}); update FLM",
                    root.error().message);
    }
    const auto models = root->is_object() ? root->find("models") : root->end();
    if (!root->is_object() || models == root->end() || !models->is_array() ||
        models->size() > kModelsMax) {
        return fail(Fault::corrupt, "`flm list -j` prints no list of models; update FLM");
    }
    std::vector<Entry> entries;
    for (const json::Value& record : *models) {
        if (!record.is_object() || !flag_at(record, "installed")) {
            continue;
        }
        std::string tag = shown_at(record, "model");
        if (tag.find(':') == std::string::npos) {
            tag = shown_at(record, "name");
        }
        if (!tag.empty()) {
            entries.push_back(entry_of_record(record, std::move(tag)));
        }
    }
    return entries;
}

}  // namespace trilane::catalog
