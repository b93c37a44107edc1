// Whether a loaded model computes sense: a short prompt through all of its weights, before anybody
// is answered by it. Not whether its answers are good.
#include <algorithm>
#include <vector>

#include "engine/engine.h"
#include "engine/sampler.h"
#include "model/model.h"
#include "os/thread_team.h"

namespace trilane::engine {
namespace {

constexpr std::string_view kSanityText = "Once upon a time";

tl::unexpected<Error> insane(std::string_view what) {
    return fail(Fault::corrupt,
                "the model answers a test prompt with {}; its file may be broken: get it again",
                what);
}

}  // namespace

Status Engine::check_sanity(const CancelToken& cancel) const {
    if (cancel.cancelled()) {
        return fail(Fault::cancelled, "the load was cancelled");
    }
    const model::Config& config = model().config();
    std::vector<token::Id> prompt =
        tokenizer()->encode(kSanityText, {.add_special = true, .parse_special = false});
    prompt.resize(std::clamp<std::size_t>(prompt.size(), 1, options().context_tokens));
    const auto tokens = static_cast<std::uint32_t>(prompt.size());
    // Memory of its own: what the slots remember is their clients'.
    TRILANE_TRY(model::KvCache kv, model::KvCache::make(config, 1, tokens));
    TRILANE_TRY(model::Workspace workspace,
                model::Workspace::make(config, tokens, tokens, team().size()));
    std::vector<model::BatchToken> batch;
    for (std::uint32_t i = 0; i < tokens; ++i) {
        batch.push_back(
            {.id = prompt[i], .position = i, .slot = 0, .wants_logits = i + 1 == tokens});
    }
    {
        const os::ThreadTeam::Turn turn = team().turn();
        model().forward(batch, kv, workspace, team());
    }
    const std::span<const float> logits(workspace.logits.as<float>(), config.vocab);
    if (!all_finite(logits)) {
        return insane("numbers that are none");
    }
    const auto [least, most] = std::ranges::minmax(logits);
    if (least == most) {
        return insane("every token being as likely as any other");
    }
    job::Sampling greedy;
    greedy.temperature = 0;
    const token::Id drawn = Sampler(greedy, 0).draw(logits, prompt, 0);
    if (drawn < 0 || static_cast<std::uint32_t>(drawn) >= config.vocab) {
        return insane("a token that it does not have");
    }
    return {};
}

}  // namespace trilane::engine
