// trilane_greedy MODEL ID,ID,… N: the N likeliest continuations one by one, each with its margin
// over the second. For comparing our tokens with other engines'; not installed.
#include <fmt/core.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/environment.h"
#include "app/output.h"
#include "engine/perplexity.h"
#include "kernels/kernels.h"

namespace {

using namespace trilane;

constexpr std::uint32_t kStepsMax = 100'000;

template <class T>
std::optional<T> number_from(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::vector<token::Id>> ids_from(std::string_view text) {
    std::vector<token::Id> ids;
    while (true) {
        const std::size_t comma = text.find(',');
        const auto id = number_from<token::Id>(text.substr(0, comma));
        if (!id) {
            return std::nullopt;
        }
        ids.push_back(*id);
        if (comma == std::string_view::npos) {
            return ids;
        }
        text.remove_prefix(comma + 1);
    }
}

Status greedy_steps(const std::string& model, const std::vector<token::Id>& prompt,
                    std::uint32_t steps) {
    engine::Options options;
    if (const std::string name = app::read_environment().isa; !name.empty()) {
        TRILANE_TRY(options.isa, kernels::isa_from_name(name));
    }
    TRILANE_TRY(const auto greedy, engine::greedy(model, prompt, steps, options));
    std::string out;
    for (const engine::GreedyStep& step : greedy) {
        out += fmt::format("{} {:.6f}\n", step.id, step.margin);
    }
    return app::print(out);
}

}  // namespace

int main(int argc, char** argv) {
    const auto ids = argc == 4 ? ids_from(argv[2]) : std::nullopt;
    const auto steps = argc == 4 ? number_from<std::uint32_t>(argv[3]) : std::nullopt;
    if (!ids || !steps || *steps > kStepsMax) {
        app::print_error("usage: trilane_greedy MODEL ID,ID,... N\n");
        return 2;
    }
    if (const Status done = greedy_steps(argv[1], *ids, *steps); !done) {
        app::print_error(fmt::format("trilane_greedy: {}\n", done.error().message));
        return 1;
    }
    return 0;
}
