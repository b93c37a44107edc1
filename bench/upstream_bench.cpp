// What a model behind an HTTP server costs beside the server: writing a small request and reading
// the streamed answer to it, piece by piece as a socket would hand it over, without any network
// (best of several rounds); then whole requests over the loopback, as a bare call and through
// HttpResident, one after the other and in turns (medians). Prints a table, in microseconds.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lane/http_resident.h"
#include "lane/upstream/answer_reader.h"
#include "lane/upstream/answer_shaper.h"
#include "lane/upstream/request_writer.h"
#include "net/client.h"
#include "net/loops.h"
#include "net/server.h"

namespace {

namespace job = trilane::job;
using namespace trilane::lane::upstream;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 20;
constexpr int kRepeats = 2'000;

constexpr std::string_view kTail =
    R"("created":1766000000,"id":"chatcmpl-Wq8Zk2YyS4b1RrT0mV6uQxJcLhN3oPdE","model":"qwen3-4b-instruct","system_fingerprint":"b7100-1a2b3c4d","object":"chat.completion.chunk")";

/// The pieces of a streamed chat of so many tokens, as llama-server sends them.
std::vector<std::string> answer_of(int tokens) {
    std::vector<std::string> pieces;
    const auto add = [&](std::string_view fields) {
        pieces.push_back(fmt::format("data: {{{},{}}}\n\n", fields, kTail));
    };
    add(R"("choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}])");
    for (int i = 0; i < tokens; ++i) {
        add(R"("choices":[{"finish_reason":null,"index":0,"delta":{"content":" token"}}])");
    }
    add(R"("choices":[{"finish_reason":"stop","index":0,"delta":{}}])");
    add(R"("choices":[],"usage":{"completion_tokens":16,"prompt_tokens":24,"total_tokens":40,"prompt_tokens_details":{"cached_tokens":8}},"timings":{"cache_n":8,"prompt_n":16,"prompt_ms":21.532,"prompt_per_token_ms":1.3457,"prompt_per_second":743.06,"predicted_n":16,"predicted_ms":320.125,"predicted_per_token_ms":20.0078,"predicted_per_second":49.98})");
    pieces.emplace_back("data: [DONE]\n\n");
    return pieces;
}

job::Request small_request() {
    job::Request request;
    request.id = "chatcmpl-1";
    request.model = "gpu/qwen3-4b-instruct";
    job::Message system;
    system.role = job::Role::system;
    system.content = "You are a helpful assistant. Answer in one sentence.";
    job::Message user;
    user.content = "What is the tallest mountain of the \"Harz\", and how tall is it?";
    request.ask = job::Chat{{system, user}, {}, {}};
    request.max_tokens = 64;
    return request;
}

/// Microseconds of one `work`, in the best round.
template <class Work>
double best_us(Work work) {
    double best = 1e9;
    for (int round = 0; round < kRounds; ++round) {
        const auto begin = Clock::now();
        for (int i = 0; i < kRepeats; ++i) {
            work();
        }
        const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
        best = std::min(best, took.count() / kRepeats);
    }
    return best;
}

constexpr int kTrips = 4'000;

/// Hears the end of a bare call, and nothing else.
class EndListener final : public trilane::net::AnswerListener {
public:
    explicit EndListener(std::atomic<bool>& over) : over_(over) {}
    void on_head(trilane::net::AnswerHead /*head*/) override {}
    void on_body(std::string_view /*bytes*/) override {}
    void on_end(const trilane::Status& /*status*/) override {
        over_ = true;
        over_.notify_one();
    }

private:
    std::atomic<bool>& over_;
};

double median(std::vector<double> values) {
    std::ranges::nth_element(values, values.begin() + static_cast<long>(values.size() / 2));
    return values[values.size() / 2];
}

template <class Trip>
double trip_us(std::atomic<bool>& over, Trip trip) {
    over = false;
    const auto begin = Clock::now();
    trip();
    over.wait(false);
    return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

void measure_trips() {
    std::string answer;
    for (const std::string& piece : answer_of(16)) {
        answer += piece;
    }
    auto server = trilane::net::Server::start(
        {}, [&](const trilane::net::Request&, const std::shared_ptr<trilane::net::Exchange>& to) {
            to->start_stream({});
            to->send(answer);
            to->finish();
        });
    if (!server) {
        fmt::print("{}\n", server.error().message);
        return;
    }
    trilane::net::Loops loops(1);
    trilane::lane::HttpResidentOptions options;
    options.upstream_model = "qwen3-4b-instruct";
    options.target.host = "127.0.0.1";
    options.target.port = (*server)->port();
    trilane::lane::HttpResident resident(loops, options);
    trilane::net::Client client(loops, options.target);
    const Upstream upstream{options.upstream_model, "", 0, {}};
    const job::Request request = small_request();
    std::atomic<bool> over = false;
    std::vector<double> bare;
    std::vector<double> whole;
    for (int i = 0; i < kTrips; ++i) {
        bare.push_back(trip_us(over, [&] {
            trilane::net::Outgoing call;
            call.method = "POST";
            call.target = "/v1/chat/completions";
            call.body = write_request(request, upstream)->body;
            client.send(std::move(call), std::make_shared<EndListener>(over));
        }));
        whole.push_back(trip_us(over, [&] {
            resident.submit(request,
                            [&](const job::Event& event) {
                                if (std::holds_alternative<job::Done>(event) ||
                                    std::holds_alternative<job::Failed>(event)) {
                                    over = true;
                                    over.notify_one();
                                }
                            },
                            {});
        }));
    }
    fmt::print("{:<40}{:>10.3f} us\n", "a request over the loopback, bare", median(bare));
    fmt::print("{:<40}{:>10.3f} us\n", "the same through HttpResident", median(whole));
}

}  // namespace

int main() {
    const Upstream server{"qwen3-4b-instruct", "", 8192, {}};
    const job::Request request = small_request();
    std::uint64_t seen = 0;
    const double writing = best_us([&] { seen += write_request(request, server)->body.size(); });
    fmt::print("{:<40}{:>10.3f} us\n", "write a small chat", writing);
    for (const int tokens : {1, 16, 128}) {
        const std::vector<std::string> pieces = answer_of(tokens);
        const WrittenRequest asked = *write_request(request, server);
        const double reading = best_us([&] {
            AnswerShaper shaper(request, server.rules,
                                [&](const job::Event& event) { seen += event.index(); });
            AnswerReader reader(server, request, asked,
                                [&](job::Event event) { shaper.on_event(std::move(event)); });
            reader.on_head(200, "text/event-stream");
            for (const std::string& piece : pieces) {
                reader.on_body(piece);
            }
            reader.on_end({});
        });
        fmt::print("{:<40}{:>10.3f} us, {:.3f} us a piece\n",
                   fmt::format("read a streamed answer of {} tokens", tokens), reading,
                   reading / static_cast<double>(pieces.size()));
    }
    measure_trips();
    return seen == 0 ? 1 : 0;
}
