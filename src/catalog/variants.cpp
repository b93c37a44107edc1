// The choice among a repository's variants.
#include <algorithm>
#include <numeric>

#include "catalog/file_names.h"
#include "catalog/pull.h"

namespace trilane::catalog {
namespace {

constexpr std::size_t kVariantsShown = 24;

std::uint64_t sum(const std::vector<RemoteFile>& files) {
    return std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                           [](std::uint64_t n, const RemoteFile& file) { return n + file.bytes; });
}

bool has_file(const Variant& variant, std::string_view wanted) {
    return std::any_of(variant.files.begin(), variant.files.end(), [&](const RemoteFile& file) {
        return file.path == wanted || base_name(file.path) == wanted ||
               model_stem(base_name(file.path)) == wanted;
    });
}

/// "Q4_K_M" for "UD-Q4_K_M", and for a variant that is called by its file.
bool means(const Variant& variant, std::string_view wanted) {
    std::string type = quantization_of(variant.name + ".gguf");
    if (type.starts_with("UD-") && !lower_case(wanted).starts_with("ud-")) {
        type.erase(0, 3);
    }
    return !type.empty() && equal_ignoring_case(type, wanted);
}

std::string names_of(const std::vector<Variant>& variants) {
    std::string names;
    for (std::size_t i = 0; i < variants.size() && i < kVariantsShown; ++i) {
        names += (i == 0 ? "" : ", ") + shown(variants[i].name);
    }
    return names + (variants.size() > kVariantsShown ? ", …" : "");
}

}  // namespace

std::uint64_t Variant::bytes() const {
    return sum(files) + sum(companions);
}

Result<Variant> choose_variant(const std::vector<Variant>& variants, const Reference& reference,
                               const Fits& fits) {
    if (variants.empty()) {
        return fail(Fault::not_found, "{} has no variants; name another repository",
                    shown(reference.repository));
    }
    if (!reference.variant.empty()) {
        const std::string& wanted = reference.variant;
        for (const Variant& variant : variants) {
            if (equal_ignoring_case(variant.name, wanted) || has_file(variant, wanted)) {
                return variant;
            }
        }
        std::vector<Variant> meant;
        std::copy_if(variants.begin(), variants.end(), std::back_inserter(meant),
                     [&](const Variant& variant) { return means(variant, wanted); });
        if (meant.size() == 1) {
            return meant.front();
        }
        return fail(Fault::not_found, "{} has {} '{}'; name one of: {}",
                    shown(reference.repository), meant.empty() ? "no" : "several that are",
                    shown(wanted), names_of(meant.empty() ? variants : meant));
    }
    for (const Variant& variant : variants) {
        if (!fits || fits(variant)) {
            return variant;
        }
    }
    return *std::min_element(
        variants.begin(), variants.end(),
        [](const Variant& a, const Variant& b) { return a.bytes() < b.bytes(); });
}

}  // namespace trilane::catalog
