#include "engine/engine.h"

#include <algorithm>
#include <mutex>

#include "engine/batcher.h"
#include "engine/loaded.h"
#include "os/memory.h"

namespace trilane::engine {

struct Engine::State {
    Options options;
    std::unique_ptr<Loaded> loaded;
    std::once_flag trie_once;
    std::shared_ptr<const grammar::TokenTrie> trie;
    std::unique_ptr<Batcher> batcher;  // last: its thread ends before what it uses
};

namespace {

/// A context nobody asked for may take this share of the memory that is free.
constexpr std::uint64_t kFreeShareOfDefault = 2;
/// But is never cut below this.
constexpr std::uint32_t kDefaultContextMin = 1024;

/// The context of one request: as asked for, or the model's as far as all slots' caches fit into
/// half of the free memory.
Result<std::uint32_t> choose_context(const Options& options, const model::Config& config) {
    const std::uint64_t free_bytes = os::available_memory_bytes();
    const std::uint64_t slot_token_bytes = model::KvCache::bytes_per_token(config) * options.slots;
    if (options.context_tokens == 0) {
        const std::uint64_t fits = free_bytes / kFreeShareOfDefault / slot_token_bytes;
        const std::uint64_t least = std::min(kDefaultContextMin, config.context_tokens);
        return static_cast<std::uint32_t>(
            std::clamp<std::uint64_t>(fits, least, config.context_tokens));
    }
    if (options.context_tokens > config.context_tokens) {
        return fail(Fault::invalid, "--ctx {} is more than the {} tokens this model was made for",
                    options.context_tokens, config.context_tokens);
    }
    const std::uint64_t bytes = slot_token_bytes * options.context_tokens;
    if (bytes > free_bytes) {
        return fail(Fault::exhausted,
                    "a KV cache of {} slots of {} tokens takes {} MiB, but {} MiB of memory are "
                    "free; use --ctx {} or fewer --slots",
                    options.slots, options.context_tokens, bytes >> 20U, free_bytes >> 20U,
                    free_bytes / slot_token_bytes);
    }
    return options.context_tokens;
}

}  // namespace

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::load(const std::string& path, const Options& options,
                                             const CancelToken& cancel) {
    auto state = std::make_unique<State>();
    state->options = options;
    Options& o = state->options;
    if (o.slots == 0 || o.prefill_chunk_tokens == 0 || o.queue_max == 0) {
        return fail(Fault::invalid, "slots, queue and prefill chunk must each be at least 1");
    }
    TRILANE_TRY(state->loaded, Loaded::open(path, o.threads, o.isa, cancel));
    Loaded& loaded = *state->loaded;
    const model::Config& config = loaded.model.config();
    TRILANE_TRY(o.context_tokens, choose_context(o, config));
    o.threads = loaded.team->size();
    o.isa = loaded.model.kernels().isa;
    TRILANE_TRY(auto kv, model::KvCache::make(config, o.slots, o.context_tokens));
    TRILANE_TRY(auto workspace, model::Workspace::make(config, o.prefill_chunk_tokens + o.slots,
                                                       o.context_tokens, o.threads));
    state->batcher = std::make_unique<Batcher>(loaded.model, *loaded.team, *loaded.tokenizer,
                                               std::move(kv), std::move(workspace), o);
    return std::unique_ptr<Engine>(new Engine(std::move(state)));
}

Status Engine::submit(Generation generation) {
    std::vector<Generation> one;
    one.push_back(std::move(generation));
    return submit(std::move(one));
}

Status Engine::submit(std::vector<Generation> generations) {
    return state_->batcher->submit(std::move(generations));
}

void Engine::stop(std::uint32_t patience_ms) {
    state_->batcher->stop(patience_ms);
}

Snapshot Engine::snapshot() const {
    return state_->batcher->snapshot();
}

InMemory Engine::in_memory() const {
    return {model().resident_bytes() + state_->batcher->resident_bytes(),
            os::resident_bytes(file().bytes())};
}

const Options& Engine::options() const {
    return state_->options;
}

const model::Model& Engine::model() const {
    return state_->loaded->model;
}

os::ThreadTeam& Engine::team() const {
    return *state_->loaded->team;
}

const gguf::File& Engine::file() const {
    return *state_->loaded->file;
}

const std::shared_ptr<const token::Tokenizer>& Engine::tokenizer() const {
    return state_->loaded->tokenizer;
}

const std::shared_ptr<const grammar::TokenTrie>& Engine::token_trie() const {
    std::call_once(state_->trie_once, [this] {
        state_->trie = std::make_shared<const grammar::TokenTrie>(*tokenizer());
    });
    return state_->trie;
}

}  // namespace trilane::engine
