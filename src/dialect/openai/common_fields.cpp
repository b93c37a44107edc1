#include "dialect/openai/common_fields.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/utf8.h"
#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

constexpr std::size_t kUserBytesMax = 128;

}  // namespace

Result<job::Request> read_common(const Fields& body, ModelField model, std::string_view prefix,
                                 const Context& context) {
    job::Request request;
    request.id = fmt::format("{}{}", prefix, context.response_id_suffix);
    if (model == ModelField::optional && body.find("model") == nullptr) {
        request.model = "default";
    } else {
        TRILANE_TRY(request.model,
                    body.required_text("model", "the id of a model that GET /v1/models lists"));
    }
    TRILANE_TRY(const auto user, body.text("user"));
    request.client = utf8_clipped(user.value_or(""), kUserBytesMax);
    return request;
}

Result<std::vector<std::int32_t>> read_token_ids(const json::Value& ids, const std::string& path) {
    if (!ids.is_array() || ids.empty()) {
        return refuse(path, ids, "at least one token id");
    }
    std::vector<std::int32_t> read;
    read.reserve(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto id = whole_number(ids[i]);
        if (!id || *id < 0 || *id > kTokenIdMax) {
            return refuse(fmt::format("{}[{}]", path, i), ids[i], "a token id");
        }
        read.push_back(static_cast<std::int32_t>(*id));
    }
    return read;
}

Status read_extra(const json::Value& body, std::span<const std::string_view> known,
                  job::Request& request) {
    for (const auto& [key, value] : body.items()) {
        if (value.is_null() || std::ranges::find(known, key) != known.end()) {
            continue;
        }
        if (request.extra.size() >= kExtraFieldsMax) {
            return fail(Fault::invalid,
                        "the body has more than {} fields that are not known here; send fewer",
                        kExtraFieldsMax);
        }
        request.extra.emplace(key, json::dump(value));
    }
    return {};
}

Status read_extra(const json::Value& body, std::initializer_list<std::string_view> known,
                  job::Request& request) {
    return read_extra(body, std::span<const std::string_view>(known.begin(), known.size()),
                      request);
}

}  // namespace trilane::dialect::openai
