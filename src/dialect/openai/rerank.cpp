// POST /v1/rerank: documents in the order in which they answer a query.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "dialect/body.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/openai.h"
#include "dialect/whole_answer.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

/// How the client wants it.
struct Wishes {
    std::size_t top_n = 0;
    bool with_documents = false;
    bool bare = false;  ///< an array of {index, score, text}: Hugging Face's shape
};

class RerankAnswer final : public WholeAnswer {
public:
    RerankAnswer(const job::Request& request, const job::Rerank& rerank, Wishes wishes)
        : WholeAnswer(request.model),
          id_(request.id),
          count_(rerank.documents.size()),
          wishes_(wishes) {
        if (wishes.with_documents) {
            documents_ = rerank.documents;
        }
    }

    [[nodiscard]] std::string body() const override {
        std::string out;
        if (wishes_.bare) {
            append_results(out);
            return out;
        }
        out += R"({"id":)";
        json::append_string(out, id_);
        out += R"(,"object":"list","model":)";
        json::append_string(out, model());
        out += R"(,"results":)";
        append_results(out);
        fmt::format_to(std::back_inserter(out),
                       R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0}}}}})",
                       usage().prompt_tokens);
        return out;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* scores = std::get_if<job::Scores>(&event)) {
            scores_ = scores->scores;
        }
        return {};
    }
    Status complete() override {
        if (scores_.size() != count_) {
            return fail(Fault::internal, "the model gave {} scores for {} documents; see its log",
                        scores_.size(), count_);
        }
        // What is no number answers nothing.
        std::ranges::replace_if(
            scores_, [](float score) { return std::isnan(score); },
            std::numeric_limits<float>::lowest());
        return {};
    }

private:
    void append_results(std::string& out) const {
        std::vector<std::size_t> order(scores_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, std::greater<>(),
                                 [&](std::size_t i) { return scores_[i]; });
        order.resize(std::min(order.size(), wishes_.top_n));
        out += '[';
        for (const std::size_t index : order) {
            out += out.ends_with('[') ? "" : ",";
            append_result(out, index);
        }
        out += ']';
    }

    void append_result(std::string& out, std::size_t index) const {
        const float score = std::clamp(scores_[index], std::numeric_limits<float>::lowest(),
                                       std::numeric_limits<float>::max());
        fmt::format_to(std::back_inserter(out), R"({{"index":{},"{}":{})", index,
                       wishes_.bare ? "score" : "relevance_score", score);
        if (wishes_.with_documents) {
            out += wishes_.bare ? ",\"text\":" : ",\"document\":{\"text\":";
            json::append_string(out, documents_[index]);
            out += wishes_.bare ? "" : "}";
        }
        out += '}';
    }

    const std::string id_;
    const std::size_t count_;
    const Wishes wishes_;
    std::vector<std::string> documents_;
    std::vector<float> scores_;
};

/// A text, or an object that has it.
Result<std::string> read_text(const json::Value& value, const std::string& path) {
    constexpr std::string_view kWanted = "a text of at least one character";
    if (value.is_object()) {
        return Fields(value, path).required_text("text", kWanted);
    }
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return refuse(path, value, kWanted);
    }
    return value.get_ref<const std::string&>();
}

Result<job::Rerank> read_rerank(const Fields& body, std::string_view list) {
    job::Rerank rerank;
    const json::Value* query = body.find("query");
    if (query == nullptr) {
        return fail(Fault::invalid, "query: missing; send the text that the documents may answer");
    }
    TRILANE_TRY(rerank.query, read_text(*query, "query"));
    TRILANE_TRY(const json::Value* documents, body.array(list, "texts"));
    if (documents == nullptr || documents->empty()) {
        return fail(Fault::invalid, "{}: {}; send an array of at least one text", list,
                    documents == nullptr ? "missing" : "got []");
    }
    if (documents->size() > kDocumentsMax) {
        return fail(Fault::invalid, "{}: got {} documents; send at most {}", list,
                    documents->size(), kDocumentsMax);
    }
    for (std::size_t i = 0; i < documents->size(); ++i) {
        TRILANE_TRY(std::string text, read_text((*documents)[i], fmt::format("{}[{}]", list, i)));
        rerank.documents.push_back(std::move(text));
    }
    return rerank;
}

}  // namespace

Result<Asked> ask_rerank(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    TRILANE_TRY(job::Request request,
                read_common(fields, ModelField::optional, "rerank-", context));
    Wishes wishes;
    wishes.bare = fields.find("documents") == nullptr && fields.find("texts") != nullptr;
    TRILANE_TRY(job::Rerank rerank, read_rerank(fields, wishes.bare ? "texts" : "documents"));
    TRILANE_TRY(const auto top_n,
                fields.integer("top_n", 1, std::numeric_limits<std::int32_t>::max()));
    wishes.top_n = static_cast<std::size_t>(
        top_n.value_or(static_cast<std::int64_t>(rerank.documents.size())));
    TRILANE_TRY(const auto with_documents,
                fields.boolean(wishes.bare ? "return_text" : "return_documents"));
    wishes.with_documents = with_documents.value_or(false);
    TRILANE_TRY_STATUS(read_extra(value,
                                  {"model", "query", "documents", "texts", "top_n",
                                   "return_documents", "return_text", "user"},
                                  request));
    Asked asked;
    asked.model = request.model;
    asked.writer = std::make_unique<RerankAnswer>(request, rerank, wishes);
    request.ask = std::move(rerank);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace trilane::dialect::openai
