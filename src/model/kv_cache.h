// KvCache: keys and values of every slot, layer and position, as F16. Positions are written once
// and read by every later one of the same slot.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "model/config.h"
#include "tensor/buffer.h"

namespace trilane::model {

class KvCache {
public:
    /// slots × context_tokens positions. Memory is taken as positions are written.
    /// **Errors:** exhausted, with the bytes.
    static Result<KvCache> make(const Config& config, std::uint32_t slots,
                                std::uint32_t context_tokens);

    /// What one position of one slot takes, over all layers.
    static std::size_t bytes_per_token(const Config& config) {
        return std::size_t{2} * sizeof(std::uint16_t) * config.layers * config.kv_width();
    }

    /// [kv_width] halves of one position; positions of a slot and layer follow at stride()
    /// elements.
    [[nodiscard]] std::uint16_t* k(std::uint32_t layer, std::uint32_t slot,
                                   std::uint32_t position) {
        return k_.as<std::uint16_t>() + index(layer, slot, position);
    }
    [[nodiscard]] std::uint16_t* v(std::uint32_t layer, std::uint32_t slot,
                                   std::uint32_t position) {
        return v_.as<std::uint16_t>() + index(layer, slot, position);
    }
    [[nodiscard]] std::size_t stride() const { return width_; }
    [[nodiscard]] std::uint32_t context_tokens() const { return context_tokens_; }
    [[nodiscard]] std::uint32_t slots() const { return slots_; }
    [[nodiscard]] std::size_t bytes() const { return k_.bytes() + v_.bytes(); }
    /// Of these, what has been written and is in memory.
    [[nodiscard]] std::uint64_t resident_bytes() const {
        return k_.resident_bytes() + v_.resident_bytes();
    }

    /// Makes the first `positions` of slot `to` equal those of slot `from`.
    void copy(std::uint32_t from, std::uint32_t to, std::uint32_t positions);

private:
    [[nodiscard]] std::size_t index(std::uint32_t layer, std::uint32_t slot,
                                    std::uint32_t position) const {
        return ((std::size_t{slot} * layers_ + layer) * context_tokens_ + position) * width_;
    }
    tensor::Buffer k_;  // [slots][layers][context_tokens][kv_width]
    tensor::Buffer v_;
    std::uint32_t layers_ = 0;
    std::uint32_t slots_ = 0;
    std::uint32_t context_tokens_ = 0;
    std::size_t width_ = 0;
};

}  // namespace trilane::model
