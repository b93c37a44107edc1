// trilane_oracle_embed MODEL vectors|scores ID,ID,…: the vector of each text of tokens, not
// normalised, or its score, one line each. trilane_oracle_embed MODEL speed TOKENS: how many texts
// of so many tokens a second, alone and 64 together. For comparing with other engines.
#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/embedder.h"
#include "engine/engine.h"
#include "gguf/gguf.h"
#include "model/encoder_config.h"

namespace {

using namespace trilane;

constexpr std::size_t kTogether = 64;
constexpr double kMeasureSeconds = 3.0;

std::optional<std::vector<token::Id>> ids_from(std::string_view text) {
    std::vector<token::Id> ids;
    while (true) {
        const std::string_view word = text.substr(0, text.find(','));
        token::Id id = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (error != std::errc() || end != word.data() + word.size()) {
            return std::nullopt;
        }
        ids.push_back(id);
        if (word.size() == text.size()) {
            return ids;
        }
        text.remove_prefix(word.size() + 1);
    }
}

/// A model of either kind; a decoder's engine is kept beside.
struct Opened {
    std::unique_ptr<engine::Engine> engine;
    std::unique_ptr<engine::Embedder> embedder;
};

Result<Opened> open(const std::string& path) {
    engine::Options options;
    Opened opened;
    TRILANE_TRY(const auto file, gguf::File::open(path));
    if (model::is_encoder(file->string("general.architecture").value_or(""))) {
        TRILANE_TRY(opened.embedder, engine::Embedder::open(path, options));
    } else {
        TRILANE_TRY(opened.engine, engine::Engine::load(path, options));
        TRILANE_TRY(opened.embedder, engine::Embedder::beside(*opened.engine));
    }
    return opened;
}

Result<std::vector<std::vector<float>>> read(engine::Embedder& embedder,
                                             std::vector<engine::Passage> texts, bool scores) {
    std::promise<engine::ReadingEnd> promise;
    TRILANE_TRY_STATUS(embedder.submit(
        {.passages = std::move(texts),
         .scores = scores,
         .cancel = {},
         .on_start = {},
         .on_end = [&](engine::ReadingEnd end) { promise.set_value(std::move(end)); }}));
    engine::ReadingEnd end = promise.get_future().get();
    if (end.error) {
        return tl::unexpected(*std::move(end.error));
    }
    return std::move(end.rows);
}

Status print_rows(const std::string& model, const std::vector<engine::Passage>& texts,
                  bool scores) {
    TRILANE_TRY(const Opened opened, open(model));
    TRILANE_TRY(const auto rows, read(*opened.embedder, texts, scores));
    std::string out;
    for (const auto& row : rows) {
        for (const float value : row) {
            out += fmt::format("{:.9g} ", value);
        }
        out.back() = '\n';
    }
    std::fputs(out.c_str(), stdout);
    return {};
}

Status print_speed(const std::string& model, std::size_t tokens) {
    TRILANE_TRY(const Opened opened, open(model));
    std::vector<engine::Passage> texts(kTogether);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        for (std::size_t t = 0; t < tokens; ++t) {
            texts[i].ids.push_back(static_cast<token::Id>((i * 37 + t * 11) % 500));
        }
    }
    for (const std::size_t together : {std::size_t{1}, kTogether}) {
        const std::vector<engine::Passage> some(
            texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(together));
        TRILANE_TRY_STATUS(read(*opened.embedder, some, false));
        const auto begun = std::chrono::steady_clock::now();
        double seconds = 0;
        std::size_t done = 0;
        while (seconds < kMeasureSeconds) {
            TRILANE_TRY_STATUS(read(*opened.embedder, some, false));
            done += together;
            seconds =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        }
        const double rate = static_cast<double>(done) / seconds;
        fmt::print("{} together, {} tokens each: {:.1f} texts/s, {:.0f} tokens/s\n", together,
                   tokens, rate, rate * static_cast<double>(tokens));
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    std::vector<engine::Passage> texts;
    bool good = arguments.size() >= 3;
    for (std::size_t i = 2; good && i < arguments.size(); ++i) {
        auto ids = ids_from(arguments[i]);
        good = ids.has_value();
        texts.push_back({std::move(ids).value_or(std::vector<token::Id>{}), 0});
    }
    const bool speed = good && arguments[1] == "speed" && texts[0].ids[0] > 0;
    if (!good || (!speed && arguments[1] != "vectors" && arguments[1] != "scores")) {
        std::fputs(
            "usage: trilane_oracle_embed MODEL vectors|scores ID,ID,...  or  MODEL speed N\n",
            stderr);
        return 2;
    }
    const Status done = speed ? print_speed(arguments[0], static_cast<std::size_t>(texts[0].ids[0]))
                              : print_rows(arguments[0], texts, arguments[1] == "scores");
    if (!done) {
        fmt::print(stderr, "trilane_oracle_embed: {}\n", done.error().message);
        return 1;
    }
    return 0;
}
