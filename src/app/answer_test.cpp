// Waiting for an answer, against a model that says what the test wants.
#include "app/answer.h"

#include <gtest/gtest.h>

#include <thread>

namespace trilane::app {
namespace {

/// Sends `events` from a thread of its own; when they do not end, waits to be cancelled.
class Scripted final : public lane::Resident {
public:
    explicit Scripted(std::vector<job::Event> events) : events_(std::move(events)) {}
    ~Scripted() override { stop(0); }
    Scripted(const Scripted&) = delete;
    Scripted& operator=(const Scripted&) = delete;

    [[nodiscard]] const job::ModelCard& card() const override { return card_; }
    [[nodiscard]] std::uint32_t slots() const override { return 1; }
    [[nodiscard]] lane::ResidentSnapshot snapshot() const override { return {}; }
    void stop(std::uint32_t /*patience_ms*/) override {
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    void submit(job::Request /*request*/, job::EventSink sink, CancelToken cancel) override {
        thread_ = std::thread([this, sink = std::move(sink), cancel] {
            bool ended = false;
            for (const job::Event& event : events_) {
                ended = std::holds_alternative<job::Done>(event) ||
                        std::holds_alternative<job::Failed>(event);
                sink(event);
            }
            while (!ended && !cancel.cancelled()) {
                std::this_thread::yield();
            }
            if (!ended) {
                sink(job::Failed{{Fault::cancelled, "cancelled"}});
            }
        });
    }

private:
    const job::ModelCard card_;
    std::vector<job::Event> events_;
    std::thread thread_;
};

job::Event text(std::string piece, bool reasoning = false) {
    job::Text event;
    event.text = std::move(piece);
    event.reasoning = reasoning;
    return event;
}

job::Event done() {
    job::Done event;
    event.usage.completion_tokens = 2;
    return event;
}

TEST(Answer, CollectsTheTextAndPassesItOnAsItComes) {
    Scripted scripted({job::Started{3}, text("thinking", true), text("One "), text("two"),
                       job::ChoiceEnd{0, job::FinishReason::length}, done()});
    std::string passed_on;
    AnswerHooks hooks;
    hooks.on_text = [&](std::string_view piece, bool reasoning) {
        passed_on += fmt::format("{}{}", reasoning ? "~" : "|", piece);
    };
    const auto given = answer(scripted, {}, hooks);
    ASSERT_TRUE(given.has_value());
    EXPECT_EQ(given->text, "One two");
    EXPECT_EQ(passed_on, "~thinking|One |two");
    EXPECT_EQ(given->reason, job::FinishReason::length);
    EXPECT_EQ(given->done.usage.completion_tokens, 2U);
    EXPECT_FALSE(given->interrupted);
}

TEST(Answer, AFailureIsItsError) {
    Scripted scripted({job::Failed{{Fault::invalid, "the prompt is too long"}}});
    const auto given = answer(scripted, {}, {});
    ASSERT_FALSE(given.has_value());
    EXPECT_EQ(given.error().message, "the prompt is too long");
}

TEST(Answer, AnInterruptCancelsAndKeepsWhatCame) {
    Scripted scripted({job::Started{3}, text("Once upon")});
    bool heard = false;
    AnswerHooks hooks;
    hooks.on_text = [&](std::string_view, bool) { heard = true; };
    hooks.interrupted = [&] { return heard; };
    const auto given = answer(scripted, {}, hooks);
    ASSERT_TRUE(given.has_value());
    EXPECT_TRUE(given->interrupted);
    EXPECT_EQ(given->text, "Once upon");
}

}  // namespace
}  // namespace trilane::app
