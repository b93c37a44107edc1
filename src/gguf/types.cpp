// The tensor types: geometry of those that Trilane reads, names of those that it refuses.
#include <algorithm>
#include <array>

#include "gguf/gguf.h"

namespace trilane::gguf {
namespace {

struct Readable {
    Type id;
    TypeTraits traits;
};

constexpr std::array kReadable{
    Readable{Type::f32, {"F32", 1, 4}},        Readable{Type::f16, {"F16", 1, 2}},
    Readable{Type::q4_0, {"Q4_0", 32, 18}},    Readable{Type::q8_0, {"Q8_0", 32, 34}},
    Readable{Type::q4_k, {"Q4_K", 256, 144}},  Readable{Type::q5_k, {"Q5_K", 256, 176}},
    Readable{Type::q6_k, {"Q6_K", 256, 210}},  Readable{Type::bf16, {"BF16", 1, 2}},
    Readable{Type::tq1_0, {"TQ1_0", 256, 54}}, Readable{Type::tq2_0, {"TQ2_0", 256, 66}},
    Readable{Type::i2_s, {"I2_S", 128, 32}},
};

struct Named {
    std::uint32_t id;
    std::string_view name;
};

// Ids that ggml or a fork gives a meaning and Trilane does not read.
constexpr std::array kUnreadable{
    Named{3, "Q4_1"},    Named{6, "Q5_0"},     Named{7, "Q5_1"},    Named{9, "Q8_1"},
    Named{10, "Q2_K"},   Named{11, "Q3_K"},    Named{15, "Q8_K"},   Named{16, "IQ2_XXS"},
    Named{17, "IQ2_XS"}, Named{18, "IQ3_XXS"}, Named{19, "IQ1_S"},  Named{20, "IQ4_NL"},
    Named{21, "IQ3_S"},  Named{22, "IQ2_S"},   Named{23, "IQ4_XS"}, Named{24, "I8"},
    Named{25, "I16"},    Named{26, "I32"},     Named{27, "I64"},    Named{28, "F64"},
    Named{29, "IQ1_M"},  Named{39, "MXFP4"},   Named{40, "NVFP4"},  Named{41, "Q1_0"},
    Named{142, "PQ2_0"}, Named{143, "PTQ1_0"},
};

constexpr std::uint32_t kRivalTwoBit = 42;
constexpr std::uint32_t kPq2 = 142;
constexpr std::uint32_t kPtq1 = 143;

}  // namespace

const TypeTraits* traits_of(std::uint32_t type_id) {
    const auto* found = std::find_if(kReadable.begin(), kReadable.end(), [&](const Readable& type) {
        return static_cast<std::uint32_t>(type.id) == type_id;
    });
    return found == kReadable.end() ? nullptr : &found->traits;
}

std::string type_label(std::uint32_t type_id) {
    if (const TypeTraits* traits = traits_of(type_id)) {
        return std::string(traits->name);
    }
    const auto* found = std::find_if(kUnreadable.begin(), kUnreadable.end(),
                                     [&](const Named& type) { return type.id == type_id; });
    return found == kUnreadable.end() ? fmt::format("type {}", type_id) : std::string(found->name);
}

std::optional<std::uint64_t> stored_bytes(std::uint32_t type_id, std::uint64_t weights) {
    const TypeTraits* traits = traits_of(type_id);
    if (traits == nullptr || weights % traits->block_weights != 0 ||
        weights > limits::kWeightsMax) {
        return std::nullopt;
    }
    const std::uint64_t trailer =
        type_id == static_cast<std::uint32_t>(Type::i2_s) ? kI2sTrailerBytes : 0;
    return weights / traits->block_weights * traits->block_bytes + trailer;
}

Status require_readable(const Tensor& tensor) {
    if (traits_of(tensor.type) != nullptr) {
        return {};
    }
    if (tensor.type == kRivalTwoBit) {
        return fail(Fault::invalid,
                    "tensor {} has type id 42, for which three rival layouts exist (ggml Q2_0 with "
                    "64-weight blocks, PrismML's with 128, STQ1_0 with 256) and which the file "
                    "does not tell apart; use a TQ2_0 or Q8_0 file of this model",
                    tensor.name);
    }
    if (tensor.type == kPq2 || tensor.type == kPtq1) {
        return fail(Fault::invalid,
                    "tensor {} has type {} (id {}), which needs an activation transform that "
                    "Trilane does not have; use a TQ2_0 or Q8_0 file of this model",
                    tensor.name, type_label(tensor.type), tensor.type);
    }
    return fail(Fault::invalid,
                "tensor {} has type {} (id {}), which Trilane cannot read; use a file with F16, "
                "BF16, Q8_0, Q4_0, Q4_K, Q5_K, Q6_K, TQ1_0 or TQ2_0 weights",
                tensor.name, type_label(tensor.type), tensor.type);
}

}  // namespace trilane::gguf
