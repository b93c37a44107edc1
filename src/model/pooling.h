// Pool: the hidden states of one text, row by row → its vector.
#pragma once

#include <cstddef>
#include <vector>

#include "model/encoder_config.h"

namespace trilane::model {

class Pool {
public:
    Pool(Pooling pooling, std::size_t dim) : pooling_(pooling), sums_(dim) {}

    /// The next token's hidden state, [dim].
    void add(const float* row) {
        const bool first = count_++ == 0;
        if (pooling_ == Pooling::mean) {
            for (std::size_t i = 0; i < sums_.size(); ++i) {
                sums_[i] += static_cast<double>(row[i]);
            }
        } else if (first || pooling_ == Pooling::last) {
            sums_.assign(row, row + sums_.size());
        }
    }

    /// Of at least one row; not normalised.
    [[nodiscard]] std::vector<float> vector() const {
        const double divisor = pooling_ == Pooling::mean ? static_cast<double>(count_) : 1.0;
        std::vector<float> out(sums_.size());
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] = static_cast<float>(sums_[i] / divisor);
        }
        return out;
    }

private:
    Pooling pooling_;
    std::vector<double> sums_;
    std::size_t count_ = 0;
};

}  // namespace trilane::model
