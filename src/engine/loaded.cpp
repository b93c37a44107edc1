#include "engine/loaded.h"

#include "probe/cpu.h"

namespace trilane::engine {

std::unique_ptr<os::ThreadTeam> make_team(std::size_t threads) {
    return std::make_unique<os::ThreadTeam>(threads != 0 ? threads : probe::default_threads());
}

Result<std::unique_ptr<Loaded>> Loaded::open(const std::string& path, std::size_t threads,
                                             std::optional<kernels::Isa> isa,
                                             const CancelToken& cancel) {
    auto loaded = std::make_unique<Loaded>();
    const kernels::KernelTable* table = &kernels::best_table();
    if (isa.has_value()) {
        TRILANE_TRY(table, kernels::table_for(*isa));
    }
    TRILANE_TRY(loaded->file, gguf::File::open(path));
    TRILANE_TRY(loaded->tokenizer, token::Tokenizer::from_gguf(loaded->file));
    loaded->team = make_team(threads);
    TRILANE_TRY(loaded->model, model::Model::load(*loaded->file, *table, *loaded->team, cancel));
    if (loaded->tokenizer->size() > loaded->model.config().vocab) {
        return fail(Fault::corrupt, "{}: the tokenizer knows {} tokens, the weights only {}", path,
                    loaded->tokenizer->size(), loaded->model.config().vocab);
    }
    return loaded;
}

}  // namespace trilane::engine
