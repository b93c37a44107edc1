// The command line of llama-server: which flags there are and what the fake reads of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "personality.h"

namespace trilane::fake_lane {

/// What "from the model" means for --ctx-size 0.
inline constexpr std::int64_t kModelContextTokens = 32'768;

struct LlamaFlags {
    std::string model_path;
    std::string alias;
    Address address{"127.0.0.1", 8080};
    std::int64_t context_tokens = kModelContextTokens;
    std::int64_t slots = -1;
    std::string api_key;
    std::int64_t sse_ping_s = 30;
    bool embedding = false;
    bool reranking = false;
    bool metrics = false;
    bool slots_page = true;
    bool version = false;
    bool help = false;
    bool list_devices = false;
};

/// **Errors:** invalid, as the engine says it: an unknown flag, a missing value. Flags named in
/// `without` are unknown, as in an older build.
Result<LlamaFlags> read_llama_flags(const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& without);
/// The text of --help.
std::string llama_help(const std::vector<std::string>& without);

}  // namespace trilane::fake_lane
