// `trilane ppl`: perplexity of a model on a text, with the definition beside the figure.
#include <fmt/core.h>

#include <cmath>

#include "app/model_files.h"
#include "app/output.h"
#include "app/verbs.h"
#include "engine/perplexity.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::size_t kTextBytesMax = std::size_t{1} << 30U;
constexpr std::uint64_t kBarWidth = 30;

engine::PplOptions engine_options(const PerplexityOptions& options) {
    engine::PplOptions out;
    out.definition = options.llama ? engine::PplDefinition::llama : engine::PplDefinition::trilane;
    out.context_tokens = options.context_tokens;
    out.stride = options.stride;
    out.windows_max = options.windows_max;
    out.threads = options.threads;
    out.isa = options.isa;
    return out;
}

std::uint32_t stride_of(const PerplexityOptions& options) {
    if (options.llama) {
        return options.context_tokens;
    }
    return options.stride > 0 ? options.stride : options.context_tokens / 2;
}

std::string definition_text(const PerplexityOptions& options) {
    if (options.llama) {
        return "llama.cpp's: windows without overlap, the first token of each replaced by BOS, the "
               "second half of each scored";
    }
    return "every token scored once, in the first window that holds it; each window begins with "
           "BOS "
           "where the vocabulary has one";
}

double scored_per_second(const engine::PplResult& result) {
    return result.seconds > 0 ? static_cast<double>(result.tokens_scored) / result.seconds : 0;
}

void show_progress(std::uint64_t done, std::uint64_t all, const engine::PplResult& so_far) {
    const std::uint64_t filled = all > 0 ? done * kBarWidth / all : kBarWidth;
    std::string bar(filled, '#');
    bar.resize(kBarWidth, '.');
    const double left_s =
        done > 0 ? so_far.seconds * static_cast<double>(all - done) / static_cast<double>(done) : 0;
    print_error(fmt::format("\r[{}] {}/{} windows, PPL {:.3f}, {:.0f} s left \033[K{}", bar, done,
                            all, so_far.perplexity, left_s, done == all ? "\r\033[K" : ""));
}

std::string result_text(const PerplexityOptions& options, const engine::PplResult& r) {
    return fmt::format(
        "definition  {}\n"
        "n_ctx       {}\n"
        "stride      {}\n"
        "windows     {}\n"
        "tokens      {} scored\n"
        "NLL         {:.6f} a token, {:.3f} in all (natural logarithm)\n"
        "PPL         {:.4f} ± {:.4f}\n"
        "bits/byte   {:.4f}\n"
        "speed       {:.1f} scored tok/s, {:.1f} s\n",
        definition_text(options), options.context_tokens, stride_of(options), r.windows,
        r.tokens_scored, r.nll_mean, r.nll_sum, r.perplexity, r.perplexity_error, r.bits_per_byte,
        scored_per_second(r), r.seconds);
}

json::Value result_json(const PerplexityOptions& options, const engine::PplResult& r) {
    return {{"definition", options.llama ? "llama" : "trilane"},
            {"definition_text", definition_text(options)},
            {"n_ctx", options.context_tokens},
            {"stride", stride_of(options)},
            {"windows", r.windows},
            {"tokens_scored", r.tokens_scored},
            {"nll_mean", r.nll_mean},
            {"nll_sum", r.nll_sum},
            {"perplexity", r.perplexity},
            {"perplexity_error", r.perplexity_error},
            {"bits_per_byte", r.bits_per_byte},
            {"scored_tokens_per_second", scored_per_second(r)},
            {"seconds", r.seconds}};
}

}  // namespace

Result<int> perform(const PerplexityOptions& options) {
    TRILANE_TRY(const ModelFile found, find_model(options.file, options.model_dirs));
    std::string text;
    if (options.text_file == "-") {
        TRILANE_TRY(text, read_stdin(kTextBytesMax));
    } else {
        TRILANE_TRY(text, read_file(options.text_file, kTextBytesMax));
    }
    const bool with_bar = stderr_is_terminal();
    TRILANE_TRY(const engine::PplResult result,
                engine::perplexity(found.path, text, engine_options(options),
                                   [with_bar](std::uint64_t done, std::uint64_t all,
                                              const engine::PplResult& so_far) {
                                       if (with_bar) {
                                           show_progress(done, all, so_far);
                                       }
                                   }));
    TRILANE_TRY_STATUS(print(options.json ? json::dump_pretty(result_json(options, result)) + '\n'
                                          : result_text(options, result)));
    return 0;
}

}  // namespace trilane::app
