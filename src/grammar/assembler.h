// Assembler: a builder's parts → an automaton. Decides which rules are written out where they are
// called, and which repetitions are counted rather than written out.
#pragma once

#include "base/result.h"
#include "grammar/automaton.h"
#include "grammar/builder.h"

namespace trilane::grammar {

/// **Errors:** those of Builder::build.
Result<Automaton> assemble(const Builder& builder, Part root);

}  // namespace trilane::grammar
