// OpenAI's rows of the endpoint table.
#include <array>
#include <utility>

#include "dialect/openai/openai.h"
#include "gateway/desk.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

constexpr std::string_view kTag = "OpenAI";

template <openai::Endpoint endpoint>
Result<dialect::Asked> ask(std::string_view body, const dialect::Context& context) {
    return openai::ask(endpoint, body, context);
}

void list_models(Desk& desk, Call call) {
    desk.respond_json(call, openai::models_body(desk.service().models()));
}

void show_model(Desk& desk, Call call) {
    const auto found = desk.service().find(call.tail);
    if (!found) {
        desk.refuse(call, found.error());
        return;
    }
    desk.respond_json(call, openai::model_body(*found));
}

constexpr std::array kRows = std::to_array<Endpoint>({
    {"POST",
     "/v1/chat/completions",
     Guard::key,
     &openai::kErrorShape,
     answer_with<ask<openai::Endpoint::chat_completions>>,
     {kTag, "The next turn of a conversation", "CreateChatCompletionRequest",
      "CreateChatCompletionResponse", dialect::kEventStreamType}},
    {"POST",
     "/v1/completions",
     Guard::key,
     &openai::kErrorShape,
     answer_with<ask<openai::Endpoint::completions>>,
     {kTag, "A text, continued", "CreateCompletionRequest", "CreateCompletionResponse",
      dialect::kEventStreamType}},
    {"GET",
     "/v1/models",
     Guard::key,
     &openai::kErrorShape,
     list_models,
     {kTag, "The models that can be asked", "", "ListModelsResponse", ""}},
    {"GET",
     "/v1/models/",
     Guard::key,
     &openai::kErrorShape,
     show_model,
     {kTag, "One model", "", "Model", ""}},
});

}  // namespace

std::span<const Endpoint> openai_endpoints() {
    return kRows;
}

}  // namespace trilane::gateway
