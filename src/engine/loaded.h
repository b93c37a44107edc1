// Loaded: a model file opened for use: mapping, tokenizer, thread team and weights, in the order in
// which they depend on each other.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "os/thread_team.h"
#include "token/tokenizer.h"

namespace trilane::engine {

/// `threads` 0 = the cores this process may use.
std::unique_ptr<os::ThreadTeam> make_team(std::size_t threads);

struct Loaded {
    std::shared_ptr<const gguf::File> file;
    std::shared_ptr<const token::Tokenizer> tokenizer;
    std::unique_ptr<os::ThreadTeam> team;
    model::Model model;

    /// `threads` 0 = the cores this process may use; no `isa` = the best this CPU has.
    /// **Errors:** those of the file, tokenizer, config and weights; invalid when the vocabulary of
    /// the tokenizer and that of the weights differ; unavailable for an ISA this CPU lacks;
    /// cancelled.
    static Result<std::unique_ptr<Loaded>> open(const std::string& path, std::size_t threads,
                                                std::optional<kernels::Isa> isa,
                                                const CancelToken& cancel = {});
};

}  // namespace trilane::engine
