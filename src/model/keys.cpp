#include "model/keys.h"

#include <cmath>

#include "model/config.h"

namespace trilane::model {

Result<std::uint32_t> Keys::count(std::string_view name, std::uint64_t max) const {
    TRILANE_TRY(const std::uint64_t value, file_.required_integer(key(name)));
    return checked(name, value, max);
}

Result<std::uint32_t> Keys::count_or(std::string_view name, std::uint64_t fallback,
                                     std::uint64_t max) const {
    return present(name) ? count(name, max) : checked(name, fallback, max);
}

Result<float> Keys::number_or(std::string_view name, double fallback) const {
    if (!present(name)) {
        return static_cast<float>(fallback);
    }
    TRILANE_TRY(const double value, file_.required_number(key(name)));
    return static_cast<float>(value);
}

Result<std::string_view> Keys::text_or(std::string_view name, std::string_view fallback) const {
    if (!present(name)) {
        return fallback;
    }
    return file_.required_string(key(name));
}

Result<std::uint32_t> Keys::checked(std::string_view name, std::uint64_t value,
                                    std::uint64_t max) const {
    if (value == 0 || value > max) {
        return fail(Fault::corrupt, "{}{} is {}; between 1 and {} is possible", prefix_, name,
                    value, max);
    }
    return static_cast<std::uint32_t>(value);
}

Result<Rope> read_rope(const Keys& keys) {
    Rope rope;
    TRILANE_TRY(rope.theta, keys.number_or("rope.freq_base", 10000.0));
    TRILANE_TRY(const std::string_view scaling, keys.text_or("rope.scaling.type", "none"));
    if (scaling == "linear") {
        TRILANE_TRY(rope.scale, keys.number_or("rope.scaling.factor", 1.0));
    } else if (scaling != "none" && !scaling.empty()) {
        return fail(Fault::invalid,
                    "rope scaling \"{}\" is not supported; only none and linear are", scaling);
    }
    if (!std::isfinite(rope.theta) || !std::isfinite(rope.scale) || rope.theta <= 0 ||
        rope.scale <= 0) {
        return fail(Fault::corrupt, "rope base {} or factor {} is not positive", rope.theta,
                    rope.scale);
    }
    return rope;
}

Result<std::uint32_t> vocab_tokens(const gguf::File& file) {
    const gguf::Tensor* embedding = file.find_tensor("token_embd.weight");
    if (embedding == nullptr || embedding->dimensions != 2) {
        return fail(Fault::corrupt,
                    "the file has no matrix token_embd.weight; it holds a vocabulary or an "
                    "adapter, not a model");
    }
    if (embedding->shape[1] == 0 || embedding->shape[1] > kVocabMax) {
        return fail(Fault::corrupt, "token_embd.weight has {} rows; between 1 and {} is possible",
                    embedding->shape[1], kVocabMax);
    }
    return static_cast<std::uint32_t>(embedding->shape[1]);
}

}  // namespace trilane::model
