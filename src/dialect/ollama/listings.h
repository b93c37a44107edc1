// What Ollama's clients are told of models: /api/tags, /api/ps, /api/show, /api/version.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "job/job.h"

namespace trilane::dialect::ollama {

/// A model under one of its names.
struct Listed {
    std::string name;    ///< an id, or a further name
    std::string parent;  ///< the model it was made of; "" = it is one itself
    std::string digest;  ///< hexadecimal; "" = not known
    std::int64_t modified_unix_s = 0;
    job::ModelCard card;
};

/// A model in memory.
struct Running {
    Listed listed;
    std::uint64_t bytes = 0;
    std::uint64_t gpu_bytes = 0;       ///< of these, on a GPU
    std::int64_t expires_unix_ms = 0;  ///< 0 = it stays until its room is needed
    std::uint32_t context_tokens = 0;
};

/// All that is known of a model.
struct Shown {
    Listed listed;
    std::string template_text;
    std::string system;
    std::string parameters;  ///< a JSON object of options; "" = none
    std::string licence;
    std::string metadata;  ///< a JSON object; "" = none
};

/// Whether Ollama's clients can do anything with such a model.
bool is_listed(const job::Abilities& abilities);

std::string tags_body(std::span<const Listed> models);
std::string ps_body(std::span<const Running> models);
std::string show_body(const Shown& model);
/// `version` is the daemon's own; what clients compare is kApiVersion.
std::string version_body(std::string_view version);

}  // namespace trilane::dialect::ollama
