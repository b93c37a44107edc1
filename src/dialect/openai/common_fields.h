// What the bodies of all endpoints share: the model, who asks, token ids, fields for the lane.
// Private to this dialect.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "dialect/fields.h"
#include "job/job.h"

namespace trilane::dialect::openai {

/// Whether a body must name its model; where llama.cpp's own clients do not, "default" is meant.
enum class ModelField { required, optional };

/// A request with its id (`prefix` and the context's suffix), model and client.
/// **Errors:** invalid, as parse() says.
Result<job::Request> read_common(const Fields& body, ModelField model, std::string_view prefix,
                                 const Context& context);

/// Token ids are 32 bits with a sign everywhere.
inline constexpr std::int64_t kTokenIdMax = std::numeric_limits<std::int32_t>::max();

/// At least one token id.
Result<std::vector<std::int32_t>> read_token_ids(const json::Value& ids, const std::string& path);

/// What is not among the `known` fields goes into request.extra.
Status read_extra(const json::Value& body, std::span<const std::string_view> known,
                  job::Request& request);
Status read_extra(const json::Value& body, std::initializer_list<std::string_view> known,
                  job::Request& request);

}  // namespace trilane::dialect::openai
