// The command line of llama-server for one model. Pure: no files, no processes. Every option that a
// plan depends on is written out, since defaults change from version to version (port 8080 or 9931,
// prompt cache of 8 GiB, fitting by itself); options that this version does not know are left out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "lane/child/arguments.h"
#include "lane/child/help_text.h"
#include "plan/plan.h"
#include "plan/shape.h"

namespace trilane::lane::llama_server {

/// Copies of what sliding windows and recurrent layers hold, per request: with none, a
/// conversation on such a model is read from its beginning at every turn.
inline constexpr std::uint32_t kContextCheckpoints = 4;
/// Requests at once where nobody says.
inline constexpr std::uint32_t kParallelDefault = 4;

struct Command {
    catalog::Entry entry;
    std::uint16_t port = 0;
    std::uint32_t context_tokens = 0;  ///< of one request
    std::uint32_t parallel = 1;
    plan::KvType kv = plan::KvType::f16;
    bool on_gpu = false;
    std::string engine_device;  ///< "Vulkan0"; "" = its own choice
    std::uint64_t prompt_cache_bytes = 0;
    std::vector<std::string> user_args;
};

/// Options that belong to Trilane, under all their names.
std::span<const Reserved> reserved_options();

std::vector<std::string> arguments(const Command& command, const HelpText& help);

}  // namespace trilane::lane::llama_server
