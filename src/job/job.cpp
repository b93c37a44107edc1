#include "job/job.h"

namespace trilane::job {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
    using Visitors::operator()...;
};
// clang 14 does not deduce aggregates.
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

std::string_view subject(const Request& request) {
    return std::visit(Overloaded{
                          [](const Chat&) { return "chat"; },
                          [](const Completion&) { return "completion"; },
                          [](const Embed&) { return "embeddings"; },
                          [](const Rerank&) { return "reranking"; },
                          [](const Tokenize&) { return "tokens"; },
                          [](const Detokenize&) { return "text of tokens"; },
                          [](const CountTokens&) { return "a count of tokens"; },
                          [](const Transcribe&) { return "transcription"; },
                          [](const Speak&) { return "speech"; },
                          [](const Draw&) { return "pictures"; },
                      },
                      request.ask);
}

bool is_generation(const Request& request) {
    return std::holds_alternative<Chat>(request.ask) ||
           std::holds_alternative<Completion>(request.ask);
}

bool able(const Abilities& abilities, const Request& request) {
    return std::visit(Overloaded{
                          [&](const Chat&) { return abilities.chat; },
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
