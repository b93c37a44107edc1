// The native lane: our own engine, in this process, on the CPU. A resident turns jobs into token
// sequences (chat template, tokenizer) and tokens into text (UTF-8, stop strings,
// log-probabilities).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "engine/engine.h"
#include "lane/descriptor.h"
#include "lane/lane.h"
#include "lane/memory_watch.h"

namespace trilane::lane {

struct NativeOptions {
    std::string model_path;
    std::string model_id;  ///< as clients name it; empty = the file name without ".gguf"
    engine::Options engine;
    CancelToken cancel;                ///< ends the load soon
    std::function<void()> on_warming;  ///< it is there, and is being tried out
    MemoryWatch* memory = nullptr;     ///< looks at what it holds; null = nobody does
};

/// Loads a model into this process and tries it out. **Errors:** as engine::Engine::load; corrupt
/// when what it computes makes no sense; a chat template that does
/// not compile is no error here: chats on that model are then refused with its message.
Result<std::shared_ptr<Resident>> load_native(const NativeOptions& options);

/// When the request's answer must have begun.
engine::BeginBy begin_by_of(const job::Request& request);

/// A lane that does so, with what `settings.engine` says of slots and threads. Of `parts` it uses
/// the log.
Result<std::shared_ptr<Lane>> open_native_lane(const Settings& settings, const Parts& parts);

/// What it answers of itself, for the table of kinds.
extern const Descriptor kNativeDescriptor;

}  // namespace trilane::lane
