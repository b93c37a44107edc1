#include "lane/upstream/vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

#include "base/base64.h"
#include "json/json.h"
#include "lane/upstream/token_pages.h"
#include "lane/upstream/turns.h"

namespace trilane::lane::upstream {
namespace {

std::size_t bytes_of(const std::variant<std::string, std::vector<std::int32_t>>& input) {
    constexpr std::size_t kIdBytes = 6;  // written, more or less
    if (const auto* text = std::get_if<std::string>(&input)) {
        return text->size();
    }
    return std::get<std::vector<std::int32_t>>(input).size() * kIdBytes;
}

/// Little-endian floats, as they lie in this machine's memory, too.
bool read_base64(std::string_view text, std::vector<float>& into) {
    const auto bytes = base64_decoded(text);
    if (!bytes || bytes->size() % sizeof(float) != 0) {
        return false;
    }
    into.resize(bytes->size() / sizeof(float));
    std::memcpy(into.data(), bytes->data(), bytes->size());
    return true;
}

bool read_numbers(const json::Value& array, std::vector<float>& into) {
    into.reserve(array.size());
    for (const json::Value& number : array) {
        if (!number.is_number()) {
            return false;
        }
        into.push_back(static_cast<float>(number.get<double>()));
    }
    return true;
}

/// To length 1. False when there is no direction.
bool normalize(std::vector<float>& vector) {
    double square = 0;
    for (const float value : vector) {
        square += static_cast<double>(value) * static_cast<double>(value);
    }
    if (!std::isfinite(square) || square <= 0) {
        return false;
    }
    const double scale = 1 / std::sqrt(square);
    for (float& value : vector) {
        value = static_cast<float>(static_cast<double>(value) * scale);
    }
    return true;
}

std::optional<std::size_t> index_in(const json::Value& item, std::size_t otherwise) {
    if (!item.is_object()) {
        return std::nullopt;
    }
    const auto at = item.find("index");
    if (at == item.end()) {
        return otherwise;
    }
    return at->is_number_unsigned() ? std::optional(at->get<std::size_t>()) : std::nullopt;
}

}  // namespace

EmbedExchange::EmbedExchange(const job::Request& request, const Upstream& upstream,
                             job::EventSink sink)
    : WholeExchange(upstream, std::move(sink)),
      request_(request),
      embed_(std::get<job::Embed>(request.ask)),
      inputs_(embed_.inputs) {
    vectors_.vectors.resize(inputs_.size());
    if (upstream.context_tokens == 0) {
        return;
    }
    for (std::size_t i = inputs_.size(); i-- > 0;) {
        const auto* text = std::get_if<std::string>(&inputs_[i]);
        // A token is at least one byte, and the model adds at most two.
        if (text != nullptr && text->size() + 2 > upstream.context_tokens &&
            !upstream.rules.no_token_pages) {
            to_measure_.push_back(i);
        }
    }
}

/// An input whose tokens are known.
Status EmbedExchange::fit(std::size_t index, std::vector<std::int32_t> ids) {
    const std::size_t most = upstream().context_tokens;
    if (most == 0 || ids.size() <= most) {
        return {};
    }
    if (!embed_.truncate) {
        return fail(Fault::invalid,
                    "input: number {} is {} tokens long, and the model reads {}; send a shorter "
                    "text, or let it be truncated",
                    index, ids.size(), most);
    }
    // Its last token is often one that ends every text.
    ids[most - 1] = ids.back();
    ids.resize(most);
    inputs_[index] = std::move(ids);
    return {};
}

std::size_t EmbedExchange::batch_end() const {
    if (rules().vectors_one_by_one) {
        return next_ + 1;
    }
    std::size_t end = next_;
    std::size_t bytes = 0;
    while (end < inputs_.size() && end - next_ < kInputsPerRequest &&
           inputs_[end].index() == inputs_[next_].index()) {
        bytes += bytes_of(inputs_[end]);
        if (end > next_ && bytes > kInputBytesPerRequest) {
            break;
        }
        ++end;
    }
    return end;
}

Result<Outgoing> EmbedExchange::write() {
    if (!to_measure_.empty()) {
        return token_request(std::get<std::string>(inputs_[to_measure_.back()]), true, false,
                             upstream());
    }
    Outgoing out;
    out.path = "/embeddings";
    out.body = begun_object(upstream());
    append_field(out.body, "input");
    const std::size_t end = batch_end();
    asked_ = end - next_;
    char mark = '[';
    for (std::size_t i = next_; i < end; ++i) {
        if (const auto* ids = std::get_if<std::vector<std::int32_t>>(&inputs_[i])) {
            TRILANE_TRY_STATUS(fit(i, *ids));
        }
        out.body += mark;
        mark = ',';
        if (const auto* text = std::get_if<std::string>(&inputs_[i])) {
            append_text(out.body, *text);
        } else {
            const auto& ids = std::get<std::vector<std::int32_t>>(inputs_[i]);
            fmt::format_to(std::back_inserter(out.body), "[{}]", fmt::join(ids, ","));
        }
    }
    out.body += ']';
    if (!rules().vectors_one_by_one) {
        out.body += R"(,"encoding_format":"base64")";
    }
    append_extra(out.body, request_,
                 {"model", "input", "encoding_format", "dimensions", "truncate"});
    out.body += '}';
    return out;
}

Result<WholeExchange::Then> EmbedExchange::read(const json::Value& answer) {
    return to_measure_.empty() ? read_vectors(answer) : read_tokens(answer);
}

Result<WholeExchange::Then> EmbedExchange::read_tokens(const json::Value& answer) {
    auto tokens = tokens_in(answer);
    if (!tokens) {
        return senseless("list of tokens");
    }
    TRILANE_TRY_STATUS(fit(to_measure_.back(), std::move(tokens->ids)));
    to_measure_.pop_back();
    return Then::ask_again;
}

Status EmbedExchange::take_vector(std::size_t index, const json::Value& value) {
    std::vector<float>& vector = vectors_.vectors[index];
    const bool good = value.is_string() ? read_base64(value.get_ref<const std::string&>(), vector)
                                        : value.is_array() && read_numbers(value, vector);
    if (!good) {
        return senseless("vector");
    }
    if (embed_.dimensions) {
        if (*embed_.dimensions > vector.size()) {
            return fail(Fault::invalid, "dimensions: the model's vectors have {}; ask for fewer",
                        vector.size());
        }
        vector.resize(*embed_.dimensions);
    }
    if (!normalize(vector)) {
        return senseless("vector with a direction");
    }
    return {};
}

Result<WholeExchange::Then> EmbedExchange::read_vectors(const json::Value& answer) {
    if (!answer.is_object() || !answer.contains("data") || !answer["data"].is_array() ||
        answer["data"].size() != asked_) {
        return senseless("list of vectors");
    }
    std::size_t place = 0;
    for (const json::Value& item : answer["data"]) {
        const auto index = index_in(item, place++);
        if (!index || *index >= asked_ || !item.contains("embedding") ||
            !vectors_.vectors[next_ + *index].empty()) {
            return senseless("list of vectors");
        }
        TRILANE_TRY_STATUS(take_vector(next_ + *index, item["embedding"]));
    }
    add_usage(answer);
    next_ += asked_;
    if (next_ < inputs_.size()) {
        return Then::ask_again;
    }
    send(std::move(vectors_));
    return Then::done;
}

RerankExchange::RerankExchange(const job::Request& request, const Upstream& upstream,
                               job::EventSink sink)
    : WholeExchange(upstream, std::move(sink)),
      request_(request),
      rerank_(std::get<job::Rerank>(request.ask)) {
    scores_.scores.assign(rerank_.documents.size(), std::numeric_limits<float>::quiet_NaN());
}

Result<Outgoing> RerankExchange::write() {
    Outgoing out;
    out.path = "/rerank";
    out.body = begun_object(upstream());
    append_field(out.body, "query");
    append_text(out.body, rerank_.query);
    append_field(out.body, "documents");
    std::size_t bytes = 0;
    asked_ = 0;
    char mark = '[';
    while (next_ + asked_ < rerank_.documents.size() && asked_ < kInputsPerRequest) {
        const std::string& document = rerank_.documents[next_ + asked_];
        bytes += document.size();
        if (asked_ > 0 && bytes > kInputBytesPerRequest) {
            break;
        }
        out.body += mark;
        mark = ',';
        append_text(out.body, document);
        ++asked_;
    }
    out.body += asked_ == 0 ? "[]" : "]";
    append_extra(out.body, request_, {"model", "query", "documents", "top_n", "return_documents"});
    out.body += '}';
    return out;
}

Result<WholeExchange::Then> RerankExchange::read(const json::Value& answer) {
    if (!answer.is_object() || !answer.contains("results") || !answer["results"].is_array()) {
        return senseless("ranking");
    }
    std::size_t known = 0;
    for (const json::Value& item : answer["results"]) {
        const auto index = index_in(item, SIZE_MAX);
        if (!index || *index >= asked_ || !item.contains("relevance_score") ||
            !item["relevance_score"].is_number()) {
            return senseless("ranking");
        }
        float& score = scores_.scores[next_ + *index];
        known += std::isnan(score) ? 1U : 0U;
        score = static_cast<float>(item["relevance_score"].get<double>());
    }
    if (known != asked_) {
        return senseless("ranking of all documents");
    }
    add_usage(answer);
    next_ += asked_;
    if (next_ < rerank_.documents.size()) {
        return Then::ask_again;
    }
    send(std::move(scores_));
    return Then::done;
}

}  // namespace trilane::lane::upstream
