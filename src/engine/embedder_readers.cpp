#include "engine/embedder_readers.h"

#include <algorithm>

#include "model/kv_cache.h"
#include "model/pooling.h"

namespace trilane::engine {
namespace {

/// Passages that a decoder reads side by side, and the cache they may take together, unless one
/// alone takes more.
constexpr std::size_t kDecoderGroupPassages = 32;
constexpr std::size_t kDecoderGroupTokens = 2048;

tl::unexpected<Error> cancelled() {
    return fail(Fault::cancelled, "the request was cancelled");
}

class EncoderReader final : public PassageReader {
public:
    EncoderReader(const model::Encoder& encoder, os::ThreadTeam& team,
                  model::EncoderWorkspace workspace, std::uint32_t context_tokens)
        : encoder_(encoder),
          team_(team),
          workspace_(std::move(workspace)),
          context_tokens_(context_tokens) {}

    [[nodiscard]] std::uint32_t width() const override { return encoder_.config().dim; }
    [[nodiscard]] std::uint32_t vocab() const override { return encoder_.config().vocab; }
    [[nodiscard]] std::uint32_t context_tokens() const override { return context_tokens_; }
    [[nodiscard]] bool embeds() const override {
        return encoder_.config().pooling != model::Pooling::rank;
    }
    [[nodiscard]] bool ranks() const override { return encoder_.ranks(); }
    [[nodiscard]] std::uint64_t resident_bytes() const override {
        return workspace_.resident_bytes();  // an encoder's weights stay where the file maps them
    }

    [[nodiscard]] std::size_t group(std::span<const Passage> rest) const override {
        std::size_t count = 1;
        std::size_t tokens = rest[0].ids.size();
        while (count < rest.size() && tokens + rest[count].ids.size() <= kEncoderGroupTokens) {
            tokens += rest[count++].ids.size();
        }
        return count;
    }

    Result<std::vector<std::vector<float>>> read(std::span<const Passage> group, bool scores,
                                                 const std::function<bool()>& leave) override {
        if (!encoder_.forward(group, workspace_, team_, leave)) {
            return cancelled();
        }
        const std::size_t dim = encoder_.config().dim;
        std::vector<std::vector<float>> rows;
        std::size_t first = 0;
        for (const Passage& passage : group) {
            if (scores) {
                rows.push_back({encoder_.score({workspace_.hidden(first), dim})});
            } else {
                model::Pool pool(encoder_.config().pooling, dim);
                for (std::size_t i = 0; i < passage.ids.size(); ++i) {
                    pool.add(workspace_.hidden(first + i));
                }
                rows.push_back(pool.vector());
            }
            first += passage.ids.size();
        }
        return rows;
    }

private:
    const model::Encoder& encoder_;
    os::ThreadTeam& team_;
    model::EncoderWorkspace workspace_;
    std::uint32_t context_tokens_;
};

class DecoderReader final : public PassageReader {
public:
    DecoderReader(const model::Model& model, os::ThreadTeam& team, model::Workspace workspace,
                  model::Pooling pooling)
        : model_(model), team_(team), workspace_(std::move(workspace)), pooling_(pooling) {}

    [[nodiscard]] std::uint32_t width() const override { return model_.config().dim; }
    [[nodiscard]] std::uint32_t vocab() const override { return model_.config().vocab; }
    [[nodiscard]] std::uint32_t context_tokens() const override {
        return static_cast<std::uint32_t>(workspace_.context_tokens);
    }
    [[nodiscard]] bool embeds() const override { return pooling_ != model::Pooling::rank; }
    [[nodiscard]] bool ranks() const override { return false; }
    [[nodiscard]] std::uint64_t resident_bytes() const override {
        return workspace_.resident_bytes();
    }

    /// Each passage gets a slot as long as the longest.
    [[nodiscard]] std::size_t group(std::span<const Passage> rest) const override {
        std::size_t count = 1;
        std::size_t longest = rest[0].ids.size();
        while (count < std::min(rest.size(), kDecoderGroupPassages)) {
            longest = std::max(longest, rest[count].ids.size());
            if ((count + 1) * longest > kDecoderGroupTokens) {
                break;
            }
            ++count;
        }
        return count;
    }

    Result<std::vector<std::vector<float>>> read(std::span<const Passage> group, bool /*scores*/,
                                                 const std::function<bool()>& leave) override {
        std::size_t longest = 0;
        std::vector<model::BatchToken> tokens;
        for (std::size_t p = 0; p < group.size(); ++p) {
            longest = std::max(longest, group[p].ids.size());
            for (std::size_t i = 0; i < group[p].ids.size(); ++i) {
                tokens.push_back({.id = group[p].ids[i],
                                  .position = static_cast<std::uint32_t>(i),
                                  .slot = static_cast<std::uint32_t>(p)});
            }
        }
        TRILANE_TRY(model::KvCache kv,
                    model::KvCache::make(model_.config(), static_cast<std::uint32_t>(group.size()),
                                         static_cast<std::uint32_t>(longest)));
        std::vector<model::Pool> pools(group.size(), model::Pool(pooling_, model_.config().dim));
        for (std::size_t at = 0; at < tokens.size(); at += workspace_.tokens_max) {
            if (leave()) {
                return cancelled();
            }
            const auto chunk = std::span(tokens).subspan(
                at, std::min<std::size_t>(workspace_.tokens_max, tokens.size() - at));
            {
                const os::ThreadTeam::Turn turn = team_.turn();
                model_.forward_hidden(chunk, kv, workspace_, team_);
            }
            for (std::size_t t = 0; t < chunk.size(); ++t) {
                pools[chunk[t].slot].add(workspace_.normed.as<float>() + t * workspace_.wide);
            }
        }
        std::vector<std::vector<float>> rows;
        for (const model::Pool& pool : pools) {
            rows.push_back(pool.vector());
        }
        return rows;
    }

private:
    const model::Model& model_;
    os::ThreadTeam& team_;
    model::Workspace workspace_;
    model::Pooling pooling_;
};

}  // namespace

Result<std::unique_ptr<PassageReader>> read_with_encoder(const model::Encoder& encoder,
                                                         os::ThreadTeam& team,
                                                         std::uint32_t context_tokens) {
    TRILANE_TRY(auto workspace,
                model::EncoderWorkspace::make(
                    encoder.config(), std::max(kEncoderGroupTokens, context_tokens), team.size()));
    return std::make_unique<EncoderReader>(encoder, team, std::move(workspace), context_tokens);
}

Result<std::unique_ptr<PassageReader>> read_with_decoder(const model::Model& model,
                                                         os::ThreadTeam& team,
                                                         std::uint32_t context_tokens,
                                                         std::uint32_t chunk_tokens,
                                                         model::Pooling pooling) {
    TRILANE_TRY(auto workspace,
                model::Workspace::make(model.config(), chunk_tokens, context_tokens, team.size()));
    return std::make_unique<DecoderReader>(model, team, std::move(workspace), pooling);
}

}  // namespace trilane::engine
