// trilane_schema_answers: reads a JSON schema per line and writes an answer per line, as JSON:
// {"text": …}, {"cut": …} when a walk's tokens ran out,
// {"hastened": …} for a model's answer that was brought to its end as they did, {"refused": …},
// {"error": …}. Tokens are drawn among those that the schema's grammar allows: at random, or by the
// model at temperature 1.
#include <fmt/format.h>

#include <charconv>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "gguf/gguf.h"
#include "grammar/grammar.h"
#include "grammar/matcher.h"
#include "json/json.h"

namespace {

using namespace trilane;

constexpr std::string_view kUsage =
    "usage: trilane_schema_answers MODEL (walk|model) [--seed N] [--tokens N] < SCHEMAS\n"
    "\n"
    "walk: any allowed token is as likely as any other; after half of the tokens those that end\n"
    "things come first. model: MODEL draws them, knowing nothing of the schema.\n";

struct Options {
    std::string model;
    bool by_model = false;
    std::uint64_t seed = 1;
    std::uint32_t tokens = 400;
};

using Vocabulary = std::shared_ptr<const grammar::TokenTrie>;

void write(std::string_view kind, const std::string& text) {
    json::Value line = json::Value::object();
    line[std::string(kind)] = text;
    std::cout << json::dump(line) << "\n";
}

std::vector<token::Id> ids_of(const std::vector<std::uint64_t>& bits) {
    std::vector<token::Id> ids;
    for (std::size_t i = 0; i < bits.size() * 64; ++i) {
        if (((bits[i / 64] >> (i % 64)) & 1U) != 0) {
            ids.push_back(static_cast<token::Id>(i));
        }
    }
    return ids;
}

/// How soon a walk that must come to its end wants a token: ends and closing marks first.
int haste(const Vocabulary& vocabulary, token::Id id) {
    if (vocabulary->is_end(id)) {
        return 0;
    }
    constexpr std::string_view kClosing = "\"}]";  // a string ends first: the others may be in it
    const std::string_view bytes = vocabulary->bytes_of(id);
    const std::size_t mark = bytes.size() == 1 ? kClosing.find(bytes[0]) : std::string::npos;
    return mark == std::string::npos ? 9 : static_cast<int>(mark) + 1;
}

void walk(const grammar::Compiled& compiled, const Vocabulary& vocabulary, const Options& options,
          std::mt19937_64& random) {
    grammar::Matcher matcher(compiled, vocabulary);
    std::vector<std::uint64_t> bits(vocabulary->words());
    std::string text;
    for (std::uint32_t step = 0; step < options.tokens; ++step) {
        matcher.allowed(bits);
        const std::vector<token::Id> ids = ids_of(bits);
        if (ids.empty()) {
            write("error", "no token is allowed after " + text);
            return;
        }
        token::Id id = ids[random() % ids.size()];
        if (step > options.tokens / 2) {
            for (const token::Id other : ids) {
                id = haste(vocabulary, other) < haste(vocabulary, id) ? other : id;
            }
        }
        if (!matcher.accept(id)) {
            write("error", "an allowed token was not accepted after " + text);
            return;
        }
        text += vocabulary->bytes_of(id);
        if (vocabulary->is_end(id) || matcher.must_end()) {
            write("text", text);
            return;
        }
    }
    write("cut", text);
}

class Answer final : public engine::Listener {
public:
    Answer(Vocabulary vocabulary, std::promise<std::pair<std::string, std::string>> answer)
        : vocabulary_(std::move(vocabulary)), answer_(std::move(answer)) {}
    void on_start(std::uint32_t /*cached_tokens*/) override {}
    void on_prompt_token(std::uint32_t /*i*/, const engine::Sampled& /*token*/) override {}
    bool on_token(const engine::Sampled& token) override {
        text_ += vocabulary_->bytes_of(token.id);
        return true;
    }
    void on_end(const engine::Ending& ending) override {
        const bool hastened = ending.reason == job::FinishReason::length;
        answer_.set_value(
            ending.error
                ? std::pair<std::string, std::string>("error", ending.error->message)
                : std::pair<std::string, std::string>(hastened ? "hastened" : "text", text_));
    }

private:
    Vocabulary vocabulary_;
    std::promise<std::pair<std::string, std::string>> answer_;
    std::string text_;
};

using Pending = std::future<std::pair<std::string, std::string>>;

Pending ask(engine::Engine& engine, const grammar::Compiled& compiled, const Options& options,
            std::uint64_t seed) {
    engine::Generation generation;
    generation.prompt = engine.tokenizer()->encode("Here is the answer: ",
                                                   {.add_special = true, .parse_special = false});
    generation.sampling.temperature = 1;
    generation.sampling.seed = seed;
    generation.max_tokens = options.tokens;
    generation.constraint = std::make_unique<grammar::Matcher>(compiled, engine.token_trie());
    generation.ends_in_time = true;
    std::promise<std::pair<std::string, std::string>> promise;
    Pending pending = promise.get_future();
    generation.listener = std::make_unique<Answer>(engine.token_trie(), std::move(promise));
    if (const auto submitted = engine.submit(std::move(generation)); !submitted) {
        std::promise<std::pair<std::string, std::string>> refused;
        refused.set_value({"error", submitted.error().message});
        return refused.get_future();
    }
    return pending;
}

std::optional<Options> read_options(const std::vector<std::string>& words) {
    Options options;
    if (words.size() < 2 || (words[1] != "walk" && words[1] != "model")) {
        return std::nullopt;
    }
    options.model = words[0];
    options.by_model = words[1] == "model";
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
        std::uint64_t value = 0;
        const std::string& text = words[i + 1];
        if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) {
            return std::nullopt;
        }
        if (words[i] == "--seed") {
            options.seed = value;
        } else if (words[i] == "--tokens") {
            options.tokens = static_cast<std::uint32_t>(value);
        } else {
            return std::nullopt;
        }
    }
    return options;
}

std::vector<Result<grammar::Compiled>> read_schemas() {
    std::vector<Result<grammar::Compiled>> schemas;
    for (std::string line; std::getline(std::cin, line);) {
        schemas.push_back(grammar::from_json_schema(line));
    }
    return schemas;
}

Status run(const Options& options) {
    const auto schemas = read_schemas();
    if (!options.by_model) {
        TRILANE_TRY(const auto file, gguf::File::open(options.model));
        TRILANE_TRY(const auto tokenizer, token::Tokenizer::from_gguf(file));
        const auto vocabulary = std::make_shared<const grammar::TokenTrie>(*tokenizer);
        std::mt19937_64 random(options.seed);
        for (const auto& schema : schemas) {
            if (schema) {
                walk(*schema, vocabulary, options, random);
            } else {
                write("refused", schema.error().message);
            }
        }
        return {};
    }
    engine::Options settings;
    settings.queue_max = static_cast<std::uint32_t>(schemas.size()) + 1;
    TRILANE_TRY(const auto engine, engine::Engine::load(options.model, settings));
    std::vector<std::optional<Pending>> answers;
    for (std::size_t i = 0; i < schemas.size(); ++i) {
        answers.emplace_back();
        if (schemas[i]) {
            answers.back() = ask(*engine, *schemas[i], options, options.seed + i);
        }
    }
    for (std::size_t i = 0; i < schemas.size(); ++i) {
        if (answers[i].has_value()) {
            const auto [kind, text] = answers[i]->get();
            write(kind, text);
        } else {
            write("refused", schemas[i].error().message);
        }
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = read_options(std::vector<std::string>(argv + 1, argv + argc));
    if (!options.has_value()) {
        std::cerr << kUsage;
        return 2;
    }
    if (const auto done = run(*options); !done) {
        std::cerr << done.error().message << "\n";
        return 1;
    }
    return 0;
}
