// WholeAnswer: what writers share whose answer is sent whole: failures, usage, the end. Knows no
// API.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "dialect/dialect.h"

namespace trilane::dialect {

/// Of an answer to one job.
/// **Threads:** one at a time.
class WholeAnswer : public AnswerWriter {
public:
    explicit WholeAnswer(std::string model) : model_(std::move(model)) {}

    void name_model(std::string_view id) override { model_ = id; }
    /// Always "".
    std::string on_event(std::size_t job_index, const job::Event& event) final;
    [[nodiscard]] bool finished() const final { return done_ || error_; }
    [[nodiscard]] const Error* error() const final { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string content_type() const override { return std::string(kJsonType); }

protected:
    /// Any event but the last.
    /// **Errors:** what makes the answer fail.
    virtual Status take(const job::Event& event) = 0;
    /// Everything is there, or is it?
    virtual Status complete() { return {}; }

    [[nodiscard]] const std::string& model() const { return model_; }
    [[nodiscard]] const job::Usage& usage() const { return usage_; }

private:
    std::string model_;
    job::Usage usage_;
    bool done_ = false;
    std::optional<Error> error_;
};

}  // namespace trilane::dialect
