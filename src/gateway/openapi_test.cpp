// Every row of the table is described, every schema that a row names is there, every reference
// leads somewhere.
#include "gateway/openapi.h"

#include <gtest/gtest.h>

#include <set>

#include "json/json.h"

namespace trilane::gateway {
namespace {

using json::Value;

void collect_references(const Value& value, std::set<std::string>& into) {
    if (value.is_object() && value.contains("$ref")) {
        into.insert(value["$ref"].get<std::string>());
    }
    if (value.is_structured()) {
        for (const Value& inner : value) {
            collect_references(inner, into);
        }
    }
}

TEST(Openapi, EveryRowIsDescribed) {
    const EndpointTable table;
    std::set<std::string> seen;
    for (const Endpoint& row : table.rows()) {
        const std::string name = std::string(row.method) + " " + std::string(row.path);
        EXPECT_TRUE(seen.insert(name).second) << name << " is there twice";
        EXPECT_FALSE(row.doc.tag.empty()) << name << " has no tag";
        EXPECT_FALSE(row.doc.summary.empty()) << name << " has no summary";
        for (const std::string_view schema : {row.doc.request_schema, row.doc.response_schema}) {
            EXPECT_TRUE(schema.empty() || openapi_components().contains(std::string(schema)))
                << name << " names the schema " << schema << ", which has no component";
        }
    }
}

TEST(Openapi, EveryReferenceLeadsSomewhere) {
    std::set<std::string> references;
    collect_references(openapi_components(), references);
    EXPECT_GT(references.size(), 5U);
    for (const std::string& reference : references) {
        const auto name = reference.substr(reference.rfind('/') + 1);
        EXPECT_TRUE(openapi_components().contains(name)) << reference;
    }
}

TEST(Openapi, TheDocumentHasWhatTheRowsSay) {
    const EndpointTable table;
    const auto document = json::parse(openapi_document(table.rows(), "9.9"));
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_EQ((*document)["openapi"], "3.1.0");
    EXPECT_EQ((*document)["info"]["version"], "9.9");
    const Value& paths = (*document)["paths"];
    const Value& chat = paths["/v1/chat/completions"]["post"];
    EXPECT_EQ(chat["requestBody"]["content"]["application/json"]["schema"]["$ref"],
              "#/components/schemas/CreateChatCompletionRequest");
    EXPECT_TRUE(chat["responses"]["200"]["content"].contains("text/event-stream"));
    EXPECT_TRUE(paths["/v1/audio/transcriptions"]["post"]["requestBody"]["content"].contains(
        "multipart/form-data"));
    EXPECT_TRUE(
        paths["/v1/audio/speech"]["post"]["responses"]["200"]["content"].contains("audio/mpeg"));
    EXPECT_EQ(paths["/v1/models/{id}"]["get"]["parameters"][0]["name"], "id");
    EXPECT_TRUE(paths["/v1/responses/{id}"].contains("delete"));
    EXPECT_TRUE(paths["/live"]["get"]["security"].empty());
    std::size_t operations = 0;
    std::set<std::string> ids;
    for (const Value& path : paths) {
        for (const Value& operation : path) {
            ids.insert(operation["operationId"].get<std::string>());
            ++operations;
        }
    }
    EXPECT_EQ(operations, table.rows().size());
    EXPECT_EQ(ids.size(), operations);
}

}  // namespace
}  // namespace trilane::gateway
