// POST /v1/embeddings: texts or tokens → vectors.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "base/base64.h"
#include "dialect/body.h"
#include "dialect/openai/asks.h"
#include "dialect/openai/common_fields.h"
#include "dialect/openai/openai.h"
#include "dialect/whole_answer.h"
#include "json/json.h"
#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

using EmbedInput = std::variant<std::string, std::vector<std::int32_t>>;

constexpr std::int64_t kDimensionsMax = 65536;

/// Little-endian 32-bit floats, as OpenAI's clients read them.
std::string bytes_of(const std::vector<float>& vector) {
    std::string bytes;
    bytes.reserve(vector.size() * sizeof(float));
    for (const float value : vector) {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        for (unsigned shift = 0; shift < 32; shift += 8) {
            bytes += static_cast<char>(bits >> shift & 0xFFU);
        }
    }
    return bytes;
}

void append_vector(std::string& out, const std::vector<float>& vector, bool base64) {
    if (base64) {
        out += '"';
        out += base64_encoded(bytes_of(vector));
        out += '"';
        return;
    }
    out += '[';
    for (std::size_t i = 0; i < vector.size(); ++i) {
        out += i == 0 ? "" : ",";
        if (std::isfinite(vector[i])) {
            fmt::format_to(std::back_inserter(out), "{}", vector[i]);
        } else {
            out += "null";
        }
    }
    out += ']';
}

class EmbeddingsAnswer final : public WholeAnswer {
public:
    EmbeddingsAnswer(std::string model, std::size_t inputs, bool base64)
        : WholeAnswer(std::move(model)), inputs_(inputs), base64_(base64) {}

    [[nodiscard]] std::string body() const override {
        std::string out = R"({"object":"list","data":[)";
        for (std::size_t i = 0; i < vectors_.size(); ++i) {
            fmt::format_to(std::back_inserter(out),
                           R"({}{{"object":"embedding","index":{},"embedding":)", i == 0 ? "" : ",",
                           i);
            append_vector(out, vectors_[i], base64_);
            out += '}';
        }
        out += "],\"model\":";
        json::append_string(out, model());
        fmt::format_to(std::back_inserter(out),
                       R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0}}}}})",
                       usage().prompt_tokens);
        return out;
    }

protected:
    Status take(const job::Event& event) override {
        if (const auto* vectors = std::get_if<job::Vectors>(&event)) {
            vectors_ = vectors->vectors;
        }
        return {};
    }
    Status complete() override {
        if (vectors_.size() != inputs_) {
            return fail(Fault::internal, "the model gave {} vectors for {} inputs; see its log",
                        vectors_.size(), inputs_);
        }
        return {};
    }

private:
    const std::size_t inputs_;
    const bool base64_;
    std::vector<std::vector<float>> vectors_;
};

Result<EmbedInput> read_embed_input(const json::Value& value, const std::string& path) {
    if (value.is_array()) {
        TRILANE_TRY(std::vector<std::int32_t> ids, read_token_ids(value, path));
        return ids;
    }
    if (!value.is_string() || value.get_ref<const std::string&>().empty()) {
        return refuse(path, value, "a text of at least one character, or token ids");
    }
    return value.get_ref<const std::string&>();
}

Result<std::vector<EmbedInput>> read_embed_inputs(const Fields& body) {
    constexpr std::string_view kWanted =
        "a string, an array of strings, an array of token ids, or an array of such arrays";
    const json::Value* input = body.find("input");
    if (input == nullptr) {
        return fail(Fault::invalid, "input: missing; send {}", kWanted);
    }
    std::vector<EmbedInput> inputs;
    const bool one =
        input->is_string() || (input->is_array() && !input->empty() && input->front().is_number());
    if (one) {
        TRILANE_TRY(EmbedInput only, read_embed_input(*input, "input"));
        inputs.push_back(std::move(only));
        return inputs;
    }
    if (!input->is_array() || input->empty()) {
        return refuse("input", *input, kWanted);
    }
    if (input->size() > kInputsMax) {
        return fail(Fault::invalid, "input: got {} inputs; send at most {}", input->size(),
                    kInputsMax);
    }
    for (std::size_t i = 0; i < input->size(); ++i) {
        TRILANE_TRY(EmbedInput next, read_embed_input((*input)[i], fmt::format("input[{}]", i)));
        inputs.push_back(std::move(next));
    }
    return inputs;
}

}  // namespace

Result<Asked> ask_embeddings(std::string_view body, const Context& context) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    TRILANE_TRY(job::Request request, read_common(fields, ModelField::required, "embd-", context));
    job::Embed embed;
    TRILANE_TRY(embed.inputs, read_embed_inputs(fields));
    TRILANE_TRY(const auto dimensions, fields.integer("dimensions", 1, kDimensionsMax));
    if (dimensions) {
        embed.dimensions = static_cast<std::uint32_t>(*dimensions);
    }
    // OpenAI refuses what is too long; vLLM's clients ask for the cut with −1.
    TRILANE_TRY(const auto cut, fields.integer("truncate_prompt_tokens", -1,
                                               std::numeric_limits<std::int32_t>::max()));
    embed.truncate = cut.has_value();
    TRILANE_TRY(const auto encoding, fields.word("encoding_format", {"float", "base64"}));
    TRILANE_TRY_STATUS(read_extra(
        value,
        {"model", "input", "dimensions", "encoding_format", "user", "truncate_prompt_tokens"},
        request));
    Asked asked;
    asked.model = request.model;
    asked.writer = std::make_unique<EmbeddingsAnswer>(request.model, embed.inputs.size(),
                                                      encoding == "base64");
    request.ask = std::move(embed);
    asked.jobs.push_back(std::move(request));
    return asked;
}

}  // namespace trilane::dialect::openai
