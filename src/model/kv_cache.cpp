#include "model/kv_cache.h"

#include <cstring>

#include "base/check.h"

namespace trilane::model {

Result<KvCache> KvCache::make(const Config& config, std::uint32_t slots,
                              std::uint32_t context_tokens) {
    KvCache cache;
    cache.layers_ = config.layers;
    cache.slots_ = slots;
    cache.context_tokens_ = context_tokens;
    cache.width_ = config.kv_width();
    const std::size_t bytes = cache.index(0, slots, 0) * sizeof(std::uint16_t);
    auto keys = tensor::Buffer::make(bytes);
    auto values = tensor::Buffer::make(bytes);
    if (!keys || !values) {
        return fail(Fault::exhausted,
                    "no memory for a KV cache of {} MiB ({} slots × {} tokens); use fewer --slots "
                    "or a smaller --ctx",
                    2 * (bytes >> 20U), slots, context_tokens);
    }
    cache.k_ = *std::move(keys);
    cache.v_ = *std::move(values);
    return cache;
}

void KvCache::copy(std::uint32_t from, std::uint32_t to, std::uint32_t positions) {
    TRILANE_CHECK(from != to && from < slots_ && to < slots_ && positions <= context_tokens_);
    const std::size_t bytes = std::size_t{positions} * width_ * sizeof(std::uint16_t);
    for (std::uint32_t layer = 0; layer < layers_; ++layer) {
        std::memcpy(k(layer, to, 0), k(layer, from, 0), bytes);
        std::memcpy(v(layer, to, 0), v(layer, from, 0), bytes);
    }
}

}  // namespace trilane::model
