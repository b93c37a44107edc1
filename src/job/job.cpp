#include "job/job.h"

#include <algorithm>

namespace trilane::job {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
// clang 14 does not deduce aggregates.
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

bool has_media(const Chat& chat, Media::Kind kind) {
    return std::ranges::any_of(chat.messages, [&](const Message& message) {
        return std::ranges::find(message.media, kind, &Media::kind) != message.media.end();
    });
}

std::string_view chat_subject(const Chat& chat) {
    if (has_media(chat, Media::Kind::image)) {
        return "chat about pictures";
    }
    return has_media(chat, Media::Kind::audio) ? "chat about sounds" : "chat";
}

}  // namespace

std::string_view subject(const Request& request) {
    return std::visit(Overloaded{
                          [](const Chat& chat) { return chat_subject(chat); },
                          [](const Completion&) { return std::string_view("completion"); },
                          [](const Embed&) { return std::string_view("embeddings"); },
                          [](const Rerank&) { return std::string_view("reranking"); },
                          [](const Tokenize&) { return std::string_view("tokens"); },
                          [](const Detokenize&) { return std::string_view("text of tokens"); },
                          [](const CountTokens&) { return std::string_view("a count of tokens"); },
                          [](const Transcribe&) { return std::string_view("transcription"); },
                          [](const Speak&) { return std::string_view("speech"); },
                          [](const Draw&) { return std::string_view("pictures"); },
                      },
                      request.ask);
}

bool is_generation(const Request& request) {
    return std::holds_alternative<Chat>(request.ask) ||
           std::holds_alternative<Completion>(request.ask);
}

bool able(const Abilities& abilities, const Request& request) {
    return std::visit(Overloaded{
                          [&](const Chat& chat) {
                              return abilities.chat &&
                                     (abilities.vision || !has_media(chat, Media::Kind::image)) &&
                                     (abilities.hearing || !has_media(chat, Media::Kind::audio));
                          },
                          [&](const Completion& completion) {
                              return completion.suffix.empty() ? abilities.complete
                                                               : abilities.insert;
                          },
                          [&](const Embed&) { return abilities.embed; },
                          [&](const Rerank&) { return abilities.rerank; },
                          [&](const Tokenize&) { return abilities.complete || abilities.embed; },
                          [&](const Detokenize&) { return abilities.complete || abilities.embed; },
                          [&](const CountTokens&) { return abilities.chat; },
                          [&](const Transcribe&) { return abilities.transcribe; },
                          [&](const Speak&) { return abilities.speak; },
                          [&](const Draw&) { return abilities.draw; },
                      },
                      request.ask);
}

}  // namespace trilane::job
