// OpenAI's rows of the endpoint table, and those that its clients expect beside them.
#include <array>
#include <utility>

#include "dialect/openai/asks.h"
#include "dialect/openai/openai.h"
#include "gateway/anthropic_endpoints.h"
#include "gateway/desk.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

constexpr std::string_view kTag = "OpenAI";

template <openai::Endpoint endpoint>
Result<dialect::Asked> ask(std::string_view body, const dialect::Context& context) {
    return openai::ask(endpoint, body, context);
}

// At both of these paths Anthropic's API has a page of its own.
void list_models(Desk& desk, Call call) {
    if (expects_anthropic(call.request, call.endpoint)) {
        list_models_as_anthropic(desk, call);
        return;
    }
    desk.respond_json(call, openai::models_body(desk.service().models()));
}

void show_model(Desk& desk, Call call) {
    if (expects_anthropic(call.request, call.endpoint)) {
        show_model_as_anthropic(desk, call);
        return;
    }
    const auto found = desk.service().find(call.tail);
    if (!found) {
        desk.refuse(call, found.error());
        return;
    }
    desk.respond_json(call, openai::model_body(*found));
}

using Answer = void (*)(Desk& desk, Call call);

constexpr Endpoint get(std::string_view path, Answer answer, std::string_view summary,
                       std::string_view response) {
    return {
        "GET", path, Guard::key, &openai::kErrorShape, answer, {kTag, summary, "", response, ""}};
}

constexpr Endpoint post(std::string_view path, Answer answer, std::string_view summary,
                        std::string_view request, std::string_view response,
                        std::string_view stream_type = "") {
    return {"POST",     path,
            Guard::key, &openai::kErrorShape,
            answer,     {kTag, summary, request, response, stream_type}};
}

constexpr Endpoint rerank(std::string_view path) {
    return post(path, answer_with<openai::ask_rerank>,
                "Documents in the order in which they answer a query", "RerankRequest",
                "RerankResponse");
}

constexpr Endpoint tokenize(std::string_view path) {
    return post(path, answer_with<openai::ask_tokens>, "A text as the model's tokens",
                "TokenizeRequest", "TokenizeResponse");
}

constexpr Endpoint detokenize(std::string_view path) {
    return post(path, answer_with<openai::ask_text_of_tokens>, "Tokens as their text",
                "DetokenizeRequest", "DetokenizeResponse");
}

constexpr std::array kRows = std::to_array<Endpoint>({
    post("/v1/chat/completions", answer_with<ask<openai::Endpoint::chat_completions>>,
         "The next turn of a conversation", "CreateChatCompletionRequest",
         "CreateChatCompletionResponse", dialect::kEventStreamType),
    post("/v1/completions", answer_with<ask<openai::Endpoint::completions>>, "A text, continued",
         "CreateCompletionRequest", "CreateCompletionResponse", dialect::kEventStreamType),
    post("/v1/embeddings", answer_with<openai::ask_embeddings>, "A vector for each text",
         "CreateEmbeddingRequest", "CreateEmbeddingResponse"),
    rerank("/v1/rerank"),
    rerank("/v1/reranking"),
    rerank("/v1/rerankings"),
    rerank("/rerank"),
    rerank("/reranking"),
    tokenize("/tokenize"),
    tokenize("/v1/tokenize"),
    detokenize("/detokenize"),
    detokenize("/v1/detokenize"),
    get("/v1/models", list_models, "The models that can be asked", "ListModelsResponse"),
    get("/v1/models/", show_model, "One model", "Model"),
});

}  // namespace

std::span<const Endpoint> openai_endpoints() {
    return kRows;
}

}  // namespace trilane::gateway
