// bench_http_server: the gateway over a plane without a model, for http_load. It gives
// every request one word each 20 ms, 500 of them, so that open streams cost what ours cost and no
// engine competes for the cores. Prints its port, ends on SIGTERM or SIGINT.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/gateway.h"

namespace {

using namespace trilane;

constexpr std::chrono::milliseconds kStep{20};
constexpr std::uint32_t kWords = 500;

class Words final : public plane::Service {
public:
    Words() : thread_([this] { run(); }) {}
    ~Words() override { stop(); }
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;

    [[nodiscard]] std::vector<job::ModelCard> models() const override {
        std::vector<job::ModelCard> cards(1);
        cards[0].abilities.chat = true;
        cards.front().id = "words";
        return cards;
    }

    void submit(job::Request /*request*/, job::EventSink sink, CancelToken cancel) override {
        sink(job::Started{1});
        const std::scoped_lock lock(mutex_);
        running_.push_back({std::move(sink), std::move(cancel), 0});
    }

    [[nodiscard]] Result<job::ModelCard> find(std::string_view /*name*/) const override {
        return models().front();
    }
    [[nodiscard]] plane::Line line_of(std::string_view /*model*/) const override { return {0, 64}; }
    void notice_cancel() override {}
    [[nodiscard]] plane::View view() const override {
        plane::View view;
        view.lanes.emplace_back().name = "words";
        return view;
    }
    void load(LoadAsk /*ask*/, std::function<void(Status)> done) override { done({}); }
    Status unload(std::string_view /*model*/) override { return {}; }
    Status keep(std::string_view /*model*/,
                std::optional<std::chrono::milliseconds> /*time*/) override {
        return {};
    }
    [[nodiscard]] Result<std::shared_ptr<os::LogRing>> log_of(
        std::string_view /*lane*/) const override {
        return fail(Fault::not_found, "no logs here");
    }

    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
        }
        stopped_.notify_all();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    struct Running {
        job::EventSink sink;
        CancelToken cancel;
        std::uint32_t words = 0;
    };

    static bool step(Running& one) {
        if (one.cancel.cancelled()) {
            one.sink(job::Failed{{Fault::cancelled, "cancelled"}});
            return true;
        }
        job::Text text;
        text.text = " word";
        one.sink(std::move(text));
        if (++one.words < kWords) {
            return false;
        }
        one.sink(job::ChoiceEnd{0, job::FinishReason::length});
        one.sink(job::Done{{1, 0, one.words}, {}});
        return true;
    }

    void run() {
        std::unique_lock lock(mutex_);
        auto next = std::chrono::steady_clock::now();
        while (!stopped_.wait_until(lock, next += kStep, [this] { return stopping_; })) {
            running_.erase(std::remove_if(running_.begin(), running_.end(), step), running_.end());
        }
    }

    std::mutex mutex_;
    std::condition_variable stopped_;
    std::vector<Running> running_;
    bool stopping_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

int main(int argc, char** argv) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    gateway::GatewayOptions options;
    options.port = 0;
    options.version = "bench";
    if (argc > 1) {
        std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), options.port);
    }
    const auto words = std::make_shared<Words>();
    const auto gateway = gateway::Gateway::start(options, words);
    if (!gateway) {
        fmt::print(stderr, "{}\n", gateway.error().message);
        return 1;
    }
    fmt::print("{}\n", (*gateway)->port());
    std::fflush(stdout);
    int signal = 0;
    sigwait(&ends, &signal);
    (*gateway)->stop(std::chrono::milliseconds(0));
    words->stop();
    return 0;
}
