// The native lane: our own engine, in this process, on the CPU. Turns jobs into token sequences
// (chat template, tokenizer) and tokens into text (UTF-8, stop strings, log-probabilities).
#pragma once

#include <memory>
#include <string>

#include "engine/engine.h"
#include "lane/lane.h"

namespace trilane::lane {

struct NativeOptions {
    std::string model_path;
    std::string model_id;  ///< as clients name it; empty = the file name without ".gguf"
    engine::Options engine;
};

/// Loads the model and starts the lane. **Errors:** as engine::Engine::load; a chat template that
/// does not compile is no error here: chats on that model are then refused with its message.
Result<std::shared_ptr<Lane>> open_native(const NativeOptions& options);

}  // namespace trilane::lane
