// SchemaReader: the walk through one JSON schema. Internal to add_json_schema.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "grammar/builder.h"
#include "grammar/json_text.h"
#include "json/fwd.h"

namespace trilane::grammar {

class SchemaReader {
public:
    /// Both must outlive it.
    SchemaReader(Builder& builder, const json::Value& root);

    /// What `schema`, which stands at `place` of the root, holds for.
    Result<Part> read(const json::Value& schema, const std::string& place);

private:
    static tl::unexpected<Error> refuse(const std::string& place, std::string_view why);

    Result<Part> read_any(const json::Value& schema, const std::string& place);
    Result<Part> read_combined(const json::Value& schema, const std::string& place);
    Result<Part> read_branches(const json::Value& schema, const std::string& keyword,
                               const std::string& place);
    Result<Part> read_values(const json::Value& schema, const std::string& place);
    Result<Part> read_types(const json::Value& schema, const std::string& place);
    Result<Part> read_type(const json::Value& schema, const std::string& type,
                           const std::string& place);
    Result<Part> read_number(const json::Value& schema, bool integer, const std::string& place);
    Result<Part> read_array(const json::Value& schema, const std::string& place);
    Part tuple(const std::vector<Part>& first, Part rest, std::uint32_t min, std::uint32_t max);

    // object_schema.cpp
    Result<Part> read_object(const json::Value& schema, const std::string& place);
    Result<std::vector<std::pair<std::string, bool>>> property_names(const json::Value& schema,
                                                                     const std::string& place);
    Result<std::optional<Part>> read_extras(const json::Value& schema,
                                            const std::vector<std::pair<std::string, bool>>& names,
                                            const std::string& place);
    Result<Part> extra_key(const json::Value& schema,
                           const std::vector<std::pair<std::string, bool>>& names,
                           const std::string& place);
    Part other_key(const std::vector<std::string>& names);

    static Result<std::vector<std::string>> types(const json::Value& schema,
                                                  const std::string& place);
    static Result<std::optional<std::uint32_t>> count(const json::Value& schema,
                                                      const char* keyword,
                                                      const std::string& place);
    static Result<std::pair<std::uint32_t, std::uint32_t>> counts(const json::Value& schema,
                                                                  const char* min, const char* max,
                                                                  const std::string& place);

    Builder& b_;
    JsonText text_;
    const json::Value& root_;
    std::map<std::string, Rule> references_;
    std::uint32_t schemas_ = 0;
    unsigned depth_ = 0;
};

}  // namespace trilane::grammar
