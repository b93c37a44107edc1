#include "lane/upstream/exchange.h"

#include <utility>

#include "lane/upstream/drawing.h"
#include "lane/upstream/generation.h"
#include "lane/upstream/hearing.h"
#include "lane/upstream/speaking.h"
#include "lane/upstream/token_pages.h"
#include "lane/upstream/vectors.h"

namespace trilane::lane::upstream {
namespace {

/// Which kind of exchange answers which ask.
template <class Ask>
struct KindOf;
template <>
struct KindOf<job::Chat> {
    using Type = GenerationExchange;
};
template <>
struct KindOf<job::Completion> {
    using Type = GenerationExchange;
};
template <>
struct KindOf<job::Embed> {
    using Type = EmbedExchange;
};
template <>
struct KindOf<job::Rerank> {
    using Type = RerankExchange;
};
template <>
struct KindOf<job::Tokenize> {
    using Type = TokenExchange;
};
template <>
struct KindOf<job::Detokenize> {
    using Type = TokenExchange;
};
template <>
struct KindOf<job::CountTokens> {
    using Type = TokenExchange;
};
template <>
struct KindOf<job::Transcribe> {
    using Type = TranscribeExchange;
};
template <>
struct KindOf<job::Speak> {
    using Type = SpeakExchange;
};
template <>
struct KindOf<job::Draw> {
    using Type = DrawExchange;
};

}  // namespace

std::unique_ptr<Exchange> open_exchange(const job::Request& request, const Upstream& upstream,
                                        job::EventSink sink) {
    return std::visit(
        [&](const auto& ask) -> std::unique_ptr<Exchange> {
            using Kind = typename KindOf<std::decay_t<decltype(ask)>>::Type;
            return std::make_unique<Kind>(request, upstream, std::move(sink));
        },
        request.ask);
}

}  // namespace trilane::lane::upstream
