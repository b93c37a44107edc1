// Writes a response: whole, or as its run of events. Private to this dialect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dialect/dialect.h"
#include "dialect/openai/responses.h"
#include "dialect/openai/tools.h"

namespace trilane::dialect::openai {

/// What the answer says beside its output.
struct ResponseFrame {
    std::string id;      ///< "resp_" and `suffix`
    std::string suffix;  ///< of the ids of its items
    std::string model;
    std::string fields;  ///< JSON of what never changes, less the braces
    bool stream = false;
    bool with_logprobs = false;
    bool as_summary = false;  ///< thoughts are shown as a summary
    SpacedNames spaced_names;
    /// What is kept of it, less the answer; null = nothing is.
    std::shared_ptr<StoredResponse> kept;
    std::shared_ptr<ResponseStore> store;
};

/// **Threads:** one at a time.
class ResponseWriter final : public AnswerWriter {
public:
    explicit ResponseWriter(ResponseFrame frame) : frame_(std::move(frame)) {}

    void name_model(std::string_view id) override { frame_.model = id; }
    std::string on_event(std::size_t job_index, const job::Event& event) override;
    [[nodiscard]] bool finished() const override { return finished_; }
    [[nodiscard]] const Error* error() const override { return error_ ? &*error_ : nullptr; }
    [[nodiscard]] std::string body() const override;
    [[nodiscard]] std::string content_type() const override {
        return std::string(frame_.stream ? kEventStreamType : kJsonType);
    }
    [[nodiscard]] std::string heartbeat() const override { return ": ping\n\n"; }

private:
    enum class Kind { reasoning, message, call };
    struct Item {
        Kind kind = Kind::message;
        std::string id;
        std::string text;         // of the message or the thoughts; a call's arguments
        job::ToolCall call;       // less its arguments
        std::uint32_t index = 0;  // of the call among calls
        std::vector<job::LogprobEntry> logprobs;
        std::string status = "in_progress";
    };

    void begin();
    void text(const job::Text& piece);
    void call(const job::ToolCallPiece& piece);
    void end_choice(const job::ChoiceEnd& end);
    void done(const job::Done& done);
    void failed(const Error& error);

    Item& open(Kind kind);
    void close(std::string_view status);
    void event(std::string_view type, std::string_view fields);
    void delta(const Item& item, std::string_view text, std::string_view logprobs);
    void close_text(const Item& item);
    void response_event(std::string_view type, std::string_view status);

    [[nodiscard]] std::string response(std::string_view status) const;
    [[nodiscard]] std::string item_json(const Item& item) const;
    [[nodiscard]] std::string name_json(const Item& item) const;
    [[nodiscard]] std::string part_json(const Item& item, bool whole) const;
    [[nodiscard]] std::string place(const Item& item) const;
    void keep();

    ResponseFrame frame_;
    std::vector<Item> items_;
    bool open_ = false;  // the last item is
    bool begun_ = false;
    bool finished_ = false;
    bool cut_ = false;  // the answer ended before the model did
    std::uint32_t thought_pieces_ = 0;
    std::uint64_t sequence_ = 0;
    std::optional<job::Usage> usage_;
    std::optional<Error> error_;
    std::string out_;  // of the event that is being written
};

}  // namespace trilane::dialect::openai
