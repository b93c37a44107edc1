// trilane_grammar_bench: what holding answers to a grammar costs: the mask of each token over one
// or more vocabularies, along texts as a model would write them, and the speed of decoding with and
// without, in turns. Prints a table.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "gguf/gguf.h"
#include "grammar/grammar.h"
#include "grammar/matcher.h"

namespace {

using namespace trilane;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kUsage =
    "usage: trilane_grammar_bench VOCABULARY.gguf...\n"
    "       trilane_grammar_bench --decode MODEL.gguf [--rounds N] [--tokens N]\n";

double us_since(Clock::time_point from) {
    return std::chrono::duration<double, std::micro>(Clock::now() - from).count();
}

struct Case {
    const char* name;
    Result<grammar::Compiled> (*make)();
    std::string text;
};

Result<grammar::Compiled> person() {
    return grammar::from_json_schema(R"({"type":"object","properties":{
        "name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},
        "email":{"type":"string","format":"email"},
        "tags":{"type":"array","items":{"type":"string"},"maxItems":8},
        "address":{"type":"object","properties":{"street":{"type":"string","maxLength":120},
            "city":{"type":"string"},"zip":{"type":"string","pattern":"^\\d{5}$"}},
            "required":["street","city"],"additionalProperties":false},
        "notes":{"type":"string","maxLength":500}},
        "required":["name","age","notes"],"additionalProperties":false})");
}

std::vector<Case> cases() {
    const std::string prose =
        "Once upon a time there was a little house at the edge of a dark forest, and in it lived "
        "an old woman with her two grandchildren. Every morning they went to the well to fetch "
        "water, and every evening they sat by the fire and told each other stories.";
    return {
        {"json_object", [] { return grammar::json_object(); },
         R"({"title": "A house in the forest", "pages": [1, 2, 3, 10.5], "text": ")" + prose +
             R"(", "nested": {"a": true, "b": null, "c": {"d": []}}})"},
        {"json_schema", person,
         R"({"name": "Ada Lovelace", "age": 36, "email": "ada@example.org", "tags": ["maths", )"
         R"("engines"], "address": {"street": "St James's Square 12", "city": "London", )"
         R"("zip": "12345"}, "notes": ")" +
             prose + R"("})"},
        {"gbnf",
         [] {
             return grammar::from_gbnf(
                 "root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] ws term)*\n"
                 "term ::= ident | num | \"(\" ws expr \")\" ws\nident ::= [a-z] [a-z0-9_]* ws\n"
                 "num ::= [0-9]+ ws\nws ::= [ \\t\\n]*");
         },
         "(a + b1) * 42 = total\nalpha * (beta + 7) / 12 = x\n(((1 + 2) * 3) + 4) = result\n"},
        {"regex",
         [] {
             return grammar::from_regex("([A-Z][a-z]+ ){2,6}\\(\\d{4}-\\d{2}-\\d{2}\\): .{0,300}");
         },
         "Hans Christian Andersen (1805-04-02): " + prose},
        {"choice",
         [] {
             const std::vector<std::string> choices = {"positive", "negative", "neutral"};
             return grammar::from_choices(choices);
         },
         "neutral"},
    };
}

double at(const std::vector<double>& sorted, double share) {
    return sorted[std::min(sorted.size() - 1,
                           static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

/// One walk along the tokens: microseconds of each mask and of each token taken.
bool along(const grammar::Compiled& compiled, const std::shared_ptr<const grammar::TokenTrie>& trie,
           const std::vector<token::Id>& ids, std::vector<double>& masks,
           std::vector<double>& steps) {
    grammar::Matcher matcher(compiled, trie);
    std::vector<std::uint64_t> bits(trie->words());
    for (const token::Id id : ids) {
        const auto start = Clock::now();
        matcher.allowed(bits);
        masks.push_back(us_since(start));
        const auto then = Clock::now();
        if (!matcher.accept(id)) {
            return false;
        }
        steps.push_back(us_since(then));
    }
    return matcher.may_end();
}

/// The text's tokens as they stand within an answer, where no space is put before them.
std::vector<token::Id> tokens_of(const token::Tokenizer& tokenizer, const grammar::TokenTrie& trie,
                                 const std::string& text) {
    auto ids = tokenizer.encode("\n" + text, {.add_special = false, .parse_special = false});
    const auto newline = std::find_if(
        ids.begin(), ids.end(), [&](token::Id id) { return trie.bytes_of(id).ends_with("\n"); });
    ids.erase(ids.begin(), newline == ids.end() ? newline : newline + 1);
    return ids;
}

Status measure(const std::string& path) {
    constexpr int kRounds = 20;
    TRILANE_TRY(const auto file, gguf::File::open(path));
    TRILANE_TRY(const auto tokenizer, token::Tokenizer::from_gguf(file));
    auto start = Clock::now();
    const auto trie = std::make_shared<const grammar::TokenTrie>(*tokenizer);
    fmt::print("{}: {} tokens; trie of {} nodes built in {:.1f} ms\n", path, trie->size(),
               trie->short_tokens().nodes.size() + trie->long_tokens().nodes.size(),
               us_since(start) / 1000);
    fmt::print(
        "{:12} {:>10} {:>7} | first answer: mask us {:>6} {:>8} {:>8} {:>9} | later: {:>6} "
        "{:>6} {:>8} | accept us {:>6}\n",
        "grammar", "compile ms", "tokens", "p50", "p90", "max", "sum", "p50", "p99", "max", "p50");
    for (const Case& c : cases()) {
        const auto ids = tokens_of(*tokenizer, *trie, c.text);
        std::vector<double> first;
        std::vector<double> later;
        std::vector<double> steps;
        double compile_ms = 0;
        for (int round = 0; round < kRounds; ++round) {
            start = Clock::now();
            TRILANE_TRY(const auto compiled, c.make());
            compile_ms += us_since(start) / 1000 / kRounds;
            if (!along(compiled, trie, ids, first, steps) ||
                !along(compiled, trie, ids, later, steps)) {
                return fail(Fault::internal, "{} does not take its text", c.name);
            }
        }
        double sum = 0;
        for (const double us : first) {
            sum += us / kRounds;
        }
        for (auto* times : {&first, &later, &steps}) {
            std::sort(times->begin(), times->end());
        }
        fmt::print(
            "{:12} {:10.2f} {:7} | {:22.2f} {:8.1f} {:8.1f} {:9.0f} | {:13.2f} {:6.1f} "
            "{:8.1f} | {:16.2f}\n",
            c.name, compile_ms, ids.size(), at(first, 0.5), at(first, 0.9), first.back(), sum,
            at(later, 0.5), at(later, 0.99), later.back(), at(steps, 0.5));
    }
    return {};
}

/// Waits for one generation.
class Waiting final : public engine::Listener {
public:
    explicit Waiting(std::promise<engine::Ending> promise) : promise_(std::move(promise)) {}
    void on_start(std::uint32_t /*cached_tokens*/) override {}
    void on_prompt_token(std::uint32_t /*i*/, const engine::Sampled& /*token*/) override {}
    bool on_token(const engine::Sampled& /*token*/) override { return true; }
    void on_end(const engine::Ending& ending) override { promise_.set_value(ending); }

private:
    std::promise<engine::Ending> promise_;
};

/// Tokens per second of one answer.
Result<double> decode(engine::Engine& engine, const grammar::Compiled& compiled,
                      std::uint32_t tokens, std::uint64_t seed) {
    engine::Generation generation;
    generation.prompt = engine.tokenizer()->encode("\"Once upon a time",
                                                   {.add_special = true, .parse_special = false});
    generation.sampling.seed = seed;
    generation.max_tokens = tokens;
    generation.ignore_end = true;
    if (compiled != nullptr) {
        generation.constraint = std::make_unique<grammar::Matcher>(compiled, engine.token_trie());
    }
    std::promise<engine::Ending> promise;
    auto future = promise.get_future();
    generation.listener = std::make_unique<Waiting>(std::move(promise));
    TRILANE_TRY_STATUS(engine.submit(std::move(generation)));
    const engine::Ending ending = future.get();
    if (ending.error) {
        return tl::unexpected(*ending.error);
    }
    return ending.timings.predicted_tokens * 1000.0 / ending.timings.predicted_ms;
}

Status measure_decode(const std::string& path, std::uint32_t rounds, std::uint32_t tokens) {
    TRILANE_TRY(const auto engine, engine::Engine::load(path, {}));
    TRILANE_TRY(const auto text,
                grammar::from_json_schema(R"({"type":"string","minLength":5000})"));
    TRILANE_TRY(
        const auto items,
        grammar::from_json_schema(
            R"({"type":"array","items":{"type":"object","properties":{"a":{"type":"integer"},
            "name":{"type":"string","maxLength":40}},"required":["a","name"]},"minItems":500})"));
    const std::vector<std::pair<const char*, grammar::Compiled>> ways = {
        {"free", nullptr}, {"long string", text}, {"objects", items}};
    std::vector<std::vector<double>> speeds(ways.size());
    for (std::uint32_t round = 0; round < rounds; ++round) {
        for (std::size_t way = 0; way < ways.size(); ++way) {
            TRILANE_TRY(const double speed, decode(*engine, ways[way].second, tokens, round));
            speeds[way].push_back(speed);
        }
    }
    std::vector<double> free = speeds[0];
    for (std::size_t way = 0; way < ways.size(); ++way) {
        std::vector<double> ratios;
        for (std::size_t i = 0; i < rounds; ++i) {
            ratios.push_back(speeds[way][i] / free[i]);
        }
        std::sort(ratios.begin(), ratios.end());
        std::sort(speeds[way].begin(), speeds[way].end());
        fmt::print(
            "{:12} median {:7.2f} tokens/s; of free, round by round: median {:.3f}, {:.3f} "
            "to {:.3f}\n",
            ways[way].first, at(speeds[way], 0.5), at(ratios, 0.5), ratios.front(), ratios.back());
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.empty()) {
        std::fputs(kUsage.data(), stderr);
        return 2;
    }
    Status status;
    if (words[0] == "--decode" && words.size() >= 2) {
        std::uint32_t rounds = 9;
        std::uint32_t tokens = 128;
        for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
            (words[i] == "--rounds" ? rounds : tokens) =
                static_cast<std::uint32_t>(std::strtoul(words[i + 1].c_str(), nullptr, 10));
        }
        status = measure_decode(words[1], std::max(rounds, 1U), std::max(tokens, 1U));
    } else {
        for (const std::string& path : words) {
            status = status ? measure(path) : status;
        }
    }
    if (!status) {
        fmt::print(stderr, "{}\n", status.error().message);
        return 1;
    }
    return 0;
}
