// EmbedExchange and RerankExchange: texts → vectors, documents → scores, some at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "lane/upstream/whole_exchange.h"

namespace trilane::lane::upstream {

/// Of one request: between two of them a cancelled job ends.
inline constexpr std::size_t kInputsPerRequest = 64;
inline constexpr std::size_t kInputBytesPerRequest = std::size_t{1} << 20U;

/// Inputs that may be too long are tokenized first, where the server can, and cut or refused.
class EmbedExchange final : public WholeExchange {
public:
    EmbedExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

protected:
    Result<Outgoing> write() override;
    Result<Then> read(const json::Value& answer) override;

private:
    using Input = std::variant<std::string, std::vector<std::int32_t>>;

    Status fit(std::size_t index, std::vector<std::int32_t> ids);
    Result<Then> read_tokens(const json::Value& answer);
    Result<Then> read_vectors(const json::Value& answer);
    Status take_vector(std::size_t index, const json::Value& value);
    [[nodiscard]] std::size_t batch_end() const;

    const job::Request& request_;
    const job::Embed& embed_;
    std::vector<Input> inputs_;
    std::vector<std::size_t> to_measure_;  // may be too long; the last one is next
    std::size_t next_ = 0;                 // input to be embedded
    std::size_t asked_ = 0;                // inputs in the current request
    job::Vectors vectors_;
};

class RerankExchange final : public WholeExchange {
public:
    RerankExchange(const job::Request& request, const Upstream& upstream, job::EventSink sink);

protected:
    Result<Outgoing> write() override;
    Result<Then> read(const json::Value& answer) override;

private:
    const job::Request& request_;
    const job::Rerank& rerank_;
    std::size_t next_ = 0;
    std::size_t asked_ = 0;
    job::Scores scores_;
};

}  // namespace trilane::lane::upstream
