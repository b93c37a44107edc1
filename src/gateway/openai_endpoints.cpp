// OpenAI's rows of the endpoint table, and those that its clients expect beside them.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "dialect/openai/asks.h"
#include "dialect/openai/openai.h"
#include "dialect/openai/responses.h"
#include "gateway/anthropic_endpoints.h"
#include "gateway/desk.h"

namespace trilane::gateway {
namespace {

namespace openai = dialect::openai;

constexpr std::string_view kOpenAiTag = "OpenAI";

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
    desk.respond_json(call, openai::models_body(desk.models_for(call.visit)));
}

void show_model(Desk& desk, Call call) {
    if (expects_anthropic(call.request, call.endpoint)) {
        show_model_as_anthropic(desk, call);
        return;
    }
    if (const auto found = desk.model_for(call, call.tail)) {
        desk.respond_json(call, openai::model_body(*found));
    }
}

using AskOfStore = Result<dialect::Asked> (*)(std::string_view body,
                                              const dialect::Context& context,
                                              const std::shared_ptr<openai::ResponseStore>& store);

template <AskOfStore ask>
void answer_with_store(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call read) {
        auto asked = ask(read.request.body, desk.context(), desk.responses(read));
        desk.submit(std::move(read), std::move(asked));
    });
}

using AskOfForm = Result<dialect::Asked> (*)(std::string_view content_type, std::string_view body,
                                             const dialect::Context& context);

template <AskOfForm ask>
void answer_form(Desk& desk, Call call) {
    desk.read_body(std::move(call), [&desk](Call read) {
        const std::string* type = read.request.header("Content-Type");
        auto asked = ask(type == nullptr ? std::string_view() : std::string_view(*type),
                         read.request.body, desk.context());
        read.request.body = {};  // as long as the sound that was copied out of it
        desk.submit(std::move(read), std::move(asked));
    });
}

template <bool translate>
Result<dialect::Asked> transcribe(std::string_view content_type, std::string_view body,
                                  const dialect::Context& context) {
    return openai::ask_transcription(content_type, body, context, translate);
}

template <openai::PictureAsk kind>
Result<dialect::Asked> draw(std::string_view content_type, std::string_view body,
                            const dialect::Context& context) {
    return openai::ask_pictures(kind, content_type, body, context);
}

/// Null when it was refused: it is not there.
std::shared_ptr<const openai::StoredResponse> find_response(Desk& desk, Call& call) {
    auto found = desk.responses(call)->find(call.tail);
    if (found == nullptr) {
        desk.refuse(call, openai::no_such_response(call.tail));
    }
    return found;
}

void show_response(Desk& desk, Call call) {
    if (const auto found = find_response(desk, call)) {
        desk.respond_json(call, found->body);
    }
}

void delete_response(Desk& desk, Call call) {
    if (find_response(desk, call) != nullptr) {
        desk.responses(call)->remove(call.tail);
        desk.respond_json(call, openai::deleted_response_body(call.tail));
    }
}

void list_input_items(Desk& desk, Call call) {
    const auto found = find_response(desk, call);
    if (found == nullptr) {
        return;
    }
    const std::string_view target = call.request.target;
    const std::size_t query = std::min(target.find('?'), target.size() - 1);
    auto body = openai::input_items_body(*found, target.substr(query + 1));
    if (!body) {
        desk.refuse(call, body.error());
        return;
    }
    desk.respond_json(call, *std::move(body));
}

/// Only answers in the background go on without their client, and there are none.
void cancel_response(Desk& desk, Call call) {
    if (find_response(desk, call) != nullptr) {
        desk.refuse(call, Error{Fault::invalid,
                                "this response has ended; one that is still being written is "
                                "cancelled by closing its connection"});
    }
}

/// Nothing here judges texts; clients that ask first go on without.
void refuse_moderation(Desk& desk, Call call) {
    desk.refuse(call, 404,
                "there is no moderation model here; ask a chat model to judge the text instead");
}

using Answer = void (*)(Desk& desk, Call call);

constexpr Endpoint get(std::string_view path, Answer answer, std::string_view summary,
                       std::string_view response) {
    return {"GET",      path,
            Guard::key, &openai::kErrorShape,
            answer,     {kOpenAiTag, summary, "", response, ""}};
}

constexpr Endpoint post(std::string_view path, Answer answer, std::string_view summary,
                        std::string_view request, std::string_view response,
                        std::string_view stream_type = "") {
    return {"POST",     path,
            Guard::key, &openai::kErrorShape,
            answer,     {kOpenAiTag, summary, request, response, stream_type}};
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

constexpr std::array kOpenAiRows = std::to_array<Endpoint>({
    post("/v1/chat/completions", answer_with<ask<openai::Endpoint::chat_completions>>,
         "The next turn of a conversation", "CreateChatCompletionRequest",
         "CreateChatCompletionResponse", dialect::kEventStreamType),
    post("/v1/completions", answer_with<ask<openai::Endpoint::completions>>, "A text, continued",
         "CreateCompletionRequest", "CreateCompletionResponse", dialect::kEventStreamType),
    post("/v1/embeddings", answer_with<openai::ask_embeddings>, "A vector for each text",
         "CreateEmbeddingRequest", "CreateEmbeddingResponse"),
    post("/v1/responses", answer_with_store<openai::ask_response>,
         "The next turn of a conversation that is kept", "CreateResponse", "Response",
         dialect::kEventStreamType),
    post("/v1/responses/input_tokens", answer_with_store<openai::ask_input_tokens>,
         "How many tokens the input of a response is", "CreateResponse", "ResponseInputTokens"),
    get("/v1/responses/{id}", show_response, "A response that was kept", "Response"),
    {"DELETE",
     "/v1/responses/{id}",
     Guard::key,
     &openai::kErrorShape,
     delete_response,
     {kOpenAiTag, "Forgets a response", "", "DeletedResponse", ""}},
    get("/v1/responses/{id}/input_items", list_input_items, "What a response answered",
        "ResponseItemList"),
    post("/v1/responses/{id}/cancel", cancel_response,
         "Refused: no response is made in the background here", "", "Response"),
    post("/v1/moderations", refuse_moderation, "Refused: nothing here judges texts", "", ""),
    post("/v1/audio/transcriptions", answer_form<transcribe<false>>, "Speech as text",
         "CreateTranscriptionRequest", "CreateTranscriptionResponse", dialect::kEventStreamType),
    post("/v1/audio/translations", answer_form<transcribe<true>>, "Speech as English text",
         "CreateTranscriptionRequest", "CreateTranscriptionResponse", dialect::kEventStreamType),
    post("/v1/audio/speech", answer_with<openai::ask_speech>, "Text as speech",
         "CreateSpeechRequest", "Sound", dialect::kEventStreamType),
    post("/v1/images/generations", answer_form<draw<openai::PictureAsk::generation>>,
         "Pictures after a description", "CreateImageRequest", "ImagesResponse",
         dialect::kEventStreamType),
    post("/v1/images/edits", answer_form<draw<openai::PictureAsk::edit>>,
         "Pictures, changed after a description", "CreateImageEditRequest", "ImagesResponse",
         dialect::kEventStreamType),
    post("/v1/images/variations", answer_form<draw<openai::PictureAsk::variation>>,
         "Pictures like another", "CreateImageVariationRequest", "ImagesResponse"),
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
    return kOpenAiRows;
}

}  // namespace trilane::gateway
