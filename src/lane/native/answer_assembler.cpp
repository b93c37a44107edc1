#include "lane/native/answer_assembler.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace trilane::lane {
namespace {

void append_text(std::vector<reply::Piece>& pieces, job::Text text) {
    if (!text.text.empty()) {
        pieces.emplace_back(std::move(text));
    }
}

}  // namespace

std::vector<token::Id> marker_ids(const token::Tokenizer& tokenizer, const reply::Style& style) {
    const std::vector<std::string_view> names = reply::markers(style);
    std::vector<token::Id> ids;
    for (std::size_t i = 0; i < tokenizer.size(); ++i) {
        const auto id = static_cast<token::Id>(i);
        if (tokenizer.is_control(id) &&
            std::ranges::find(names, tokenizer.entry(id)) != names.end()) {
            ids.push_back(id);
        }
    }
    return ids;
}

AnswerAssembler::AnswerAssembler(std::shared_ptr<const token::Tokenizer> tokenizer,
                                 const std::vector<std::string>& stop,
                                 std::optional<reply::ReplyReader> reader,
                                 const std::vector<token::Id>* markers)
    : tokenizer_(tokenizer),
      decoder_(std::move(tokenizer)),
      cutter_(stop),
      reader_(std::move(reader)),
      markers_(markers) {}

std::vector<reply::Piece> AnswerAssembler::push(token::Id id,
                                                std::optional<job::LogprobEntry> logprob) {
    if (logprob.has_value()) {
        logprobs_.push_back(*std::move(logprob));
    }
    return shaped(read(text_of(id)), false);
}

std::vector<reply::Piece> AnswerAssembler::flush() {
    if (has_ended()) {
        return shaped({}, true);
    }
    std::vector<reply::Piece> pieces = read(decoder_.flush());
    if (reader_) {
        std::ranges::move(reader_->finish(), std::back_inserter(pieces));
    }
    return shaped(std::move(pieces), true);
}

std::string AnswerAssembler::text_of(token::Id id) {
    if (markers_ != nullptr && std::ranges::binary_search(*markers_, id)) {
        return decoder_.flush() + std::string(tokenizer_->entry(id));
    }
    return decoder_.push(id);
}

std::vector<reply::Piece> AnswerAssembler::read(std::string text) {
    if (reader_) {
        return reader_->feed(text);
    }
    std::vector<reply::Piece> pieces;
    job::Text piece;
    piece.text = std::move(text);
    pieces.emplace_back(std::move(piece));
    return pieces;
}

/// The pieces without stop texts, and with the log-probabilities of what they show.
std::vector<reply::Piece> AnswerAssembler::shaped(std::vector<reply::Piece> pieces, bool last) {
    std::vector<reply::Piece> shaped;
    for (reply::Piece& piece : pieces) {
        auto* text = std::get_if<job::Text>(&piece);
        if (cutter_.stopped()) {
            break;
        }
        if (text != nullptr && !text->reasoning) {
            cutter_.push(*text);
            append_text(shaped, std::move(*text));
        } else {
            append_text(shaped, cutter_.flush());  // what follows is no text, so no stop text
            shaped.push_back(std::move(piece));
        }
    }
    if (last && !cutter_.stopped()) {
        append_text(shaped, cutter_.flush());
    }
    const bool holds_back = reader_ || cutter_.holds();
    if (logprobs_.empty() || (shaped.empty() && holds_back && !last && !has_ended())) {
        return shaped;
    }
    auto first = std::ranges::find_if(
        shaped, [](const reply::Piece& piece) { return std::holds_alternative<job::Text>(piece); });
    if (first == shaped.end()) {
        first = shaped.insert(shaped.begin(), reply::Piece(job::Text()));
    }
    std::get<job::Text>(*first).logprobs = std::exchange(logprobs_, {});
    return shaped;
}

}  // namespace trilane::lane
