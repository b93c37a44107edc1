// The table of pre-tokenizer families, and their expressions run by PCRE2.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "token/pre_tokenizer.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace trilane::token {
namespace {

// PCRE2's \s has U+180E, which is no white space in Unicode, so the set is spelled out.
// The names are macros because string literals can be joined only before compilation.
#define WS                                                                           \
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f})" \
    R"(\x{3000})"
#define TRAILING_SPACE "[" WS "]+(?![^" WS "])"
#define CONTRACTION R"('(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL]))"

#define GPT2 \
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" WS R"(\p{L}\p{N}]+|)" TRAILING_SPACE
#define LLAMA_WITH_DIGITS(DIGITS)                                                                  \
    CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|)" DIGITS R"(| ?[^)" WS R"(\p{L}\p{N}]+[\r\n]*|[)" WS \
                R"(]*[\r\n]+|)" TRAILING_SPACE "|[" WS "]+"

// The letters of DeepSeek's expression, as its tokenizer lists them: cased scripts without the
// lower-case half of Armenian and some others.
#define DEEPSEEK_LETTERS                                                                          \
    R"(A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293})"       \
    R"(\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a})" \
    R"(\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556})"       \
    R"(\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba}\x{1cbd}-\x{1cbf})"    \
    R"(\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d})"    \
    R"(\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d})"              \
    R"(\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4})"             \
    R"(\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4})"    \
    R"(\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124})"      \
    R"(\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f})"              \
    R"(\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4})"              \
    R"(\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f})"     \
    R"(\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})"    \
    R"(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3})"                 \
    R"(\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df})"             \
    R"(\x{1e900}-\x{1e943})"

constexpr const char* kGpt2[] = {GPT2};
constexpr const char* kLlama[] = {LLAMA_WITH_DIGITS(R"(\p{N}{1,3})")};
constexpr const char* kQwen[] = {LLAMA_WITH_DIGITS(R"(\p{N})")};
constexpr const char* kStarcoder[] = {R"(\p{N})", GPT2};
constexpr const char* kDeepseek[] = {
    R"([\r\n])",
    "[" WS "]?[" DEEPSEEK_LETTERS "]+",
    "[" WS R"(]?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)",
    // "White space at the end". The look behind changes no match: it only keeps a long run inside
    // the text from being tried again from each of its characters.
    "(?<![" WS "])[" WS "]+$",
    R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)",
    R"(\p{N}+)",
};
constexpr const char* kDefault[] = {R"([\p{P}$+<=>^~|]+)", GPT2, R"(\p{N}+)", "[0-9][0-9][0-9]"};

#undef WS
#undef TRAILING_SPACE
#undef CONTRACTION
#undef GPT2
#undef LLAMA_WITH_DIGITS
#undef DEEPSEEK_LETTERS

/// One family: the names that files use for it, and its expressions. Each expression cuts what the
/// one before left: matches and the text between them are both pieces.
struct Row {
    std::span<const std::string_view> names;
    std::span<const char* const> patterns;
    bool takes_whole_words;
    bool adds_bos;
};

// Names whose expressions are the same. Source: the field's converter and reader, llama.cpp's
// llama-vocab.cpp (2025), and the models' tokenizer.json.
constexpr std::string_view kDefaultNames[] = {"default"};
constexpr std::string_view kGpt2Names[] = {
    "gpt-2",   "phi-2",   "mpt",        "olmo",       "jais",
    "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat",
    "a.x-4.0", "mellum",  "exaone4",    "trillion",   "granite-docling"};
constexpr std::string_view kLlamaNames[] = {"llama-bpe", "llama3",  "llama-v3", "falcon3",
                                            "falcon-h1", "pixtral", "midm-2.0", "lfm2"};
constexpr std::string_view kSmaugNames[] = {"smaug-bpe", "dbrx", "glm4", "chatglm-bpe"};
constexpr std::string_view kQwenNames[] = {"qwen2",   "deepseek-r1-qwen", "stablelm2", "megrez",
                                           "hunyuan", "solar-open",       "grok-2",    "kormo"};
constexpr std::string_view kDeepseekNames[] = {"deepseek-llm"};
constexpr std::string_view kStarcoderNames[] = {"starcoder", "refact", "smollm",     "codeshell",
                                                "command-r", "exaone", "minerva-7b", "mellum2"};

constexpr Row kRows[] = {
    {kDefaultNames, kDefault, false, false},     {kGpt2Names, kGpt2, false, false},
    {kLlamaNames, kLlama, true, true},           {kSmaugNames, kLlama, false, false},
    {kQwenNames, kQwen, false, false},           {kDeepseekNames, kDeepseek, false, false},
    {kStarcoderNames, kStarcoder, false, false},
};

const Row* find_row(std::string_view name) {
    if (name.empty()) {
        return &kRows[0];
    }
    for (const Row& row : kRows) {
        if (std::find(row.names.begin(), row.names.end(), name) != row.names.end()) {
            return &row;
        }
    }
    return nullptr;
}

std::string known_names() {
    std::string names;
    for (const Row& row : kRows) {
        for (const std::string_view name : row.names) {
            names.append(names.empty() ? "" : ", ").append(name);
        }
    }
    return names;
}

template <auto Free>
struct Release {
    template <class Handle>
    void operator()(Handle* handle) const {
        Free(handle);
    }
};
using Code = std::unique_ptr<pcre2_code, Release<pcre2_code_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Release<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Release<pcre2_match_data_free>>;

/// When a match gives up, the rest of the text is tried again in pieces of this size.
constexpr std::size_t kWindowBytes = std::size_t{64} << 10;
/// Memory that a match without JIT may take. Units: KiB.
constexpr std::uint32_t kHeapLimitKib = 32 << 10;

Result<Code> compile(const char* pattern) {
    int code = 0;
    std::size_t offset = 0;
    Code compiled(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &code, &offset,
                                nullptr));
    if (!compiled) {
        return fail(Fault::internal, "PCRE2 refuses a pre-tokenizer (error {} at {}): report this",
                    code, offset);
    }
    // Without JIT (a hardened kernel may forbid it) matching is slower and otherwise the same.
    static_cast<void>(pcre2_jit_compile(compiled.get(), PCRE2_JIT_COMPLETE));
    return compiled;
}

/// The first `bytes` of `text` or fewer, so that no character is cut.
std::size_t whole_characters(std::string_view text, std::size_t bytes) {
    if (bytes >= text.size()) {
        return text.size();
    }
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) {
        --bytes;
    }
    return bytes;
}

/// One call of split(): the state that must not be shared.
class Splitting {
public:
    Splitting(std::span<const Code> stages, pcre2_match_context* context, WordSink& sink)
        : stages_(stages), context_(context), sink_(sink) {
        for (std::size_t i = 0; i < stages.size(); ++i) {
            matches_.emplace_back(pcre2_match_data_create(1, nullptr));
        }
    }

    void run(std::size_t stage, std::string_view text) {
        if (text.empty()) {
            return;
        }
        if (stage == stages_.size() || !matches_[stage]) {
            sink_.word(text);
            return;
        }
        std::size_t done = 0;
        while (done < text.size()) {
            const int found = match(stage, text, done);
            if (found == PCRE2_ERROR_NOMATCH) {
                break;
            }
            const std::size_t* span = pcre2_get_ovector_pointer(matches_[stage].get());
            if (found < 0 || span[1] <= span[0] || span[0] < done) {
                give_up(stage, text.substr(done), done > 0);
                return;
            }
            const std::size_t begin = span[0];
            const std::size_t end = span[1];
            run(stage + 1, text.substr(done, begin - done));
            run(stage + 1, text.substr(begin, end - begin));
            done = end;
        }
        run(stage + 1, text.substr(done));
    }

private:
    int match(std::size_t stage, std::string_view text, std::size_t from) {
        const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
        const int found = pcre2_match(stages_[stage].get(), subject, text.size(), from,
                                      PCRE2_NO_UTF_CHECK, matches_[stage].get(), context_);
        if (found != PCRE2_ERROR_JIT_STACKLIMIT) {
            return found;
        }
        return pcre2_match(stages_[stage].get(), subject, text.size(), from,
                           PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matches_[stage].get(), context_);
    }

    /// A match needed more steps or memory than it may have: the words at this place are lost, the
    /// text is not.
    void give_up(std::size_t stage, std::string_view text, bool shorter) {
        if (text.size() <= kWindowBytes && !shorter) {
            run(stage + 1, text);
            return;
        }
        while (!text.empty()) {
            const std::size_t bytes = whole_characters(text, kWindowBytes);
            run(stage, text.substr(0, bytes));
            text.remove_prefix(bytes);
        }
    }

    std::span<const Code> stages_;
    pcre2_match_context* context_;
    WordSink& sink_;
    std::vector<MatchData> matches_;
};

}  // namespace

struct PreTokenizer::Compiled {
    const Row* row;
    std::vector<Code> stages;
    MatchContext context;
};

PreTokenizer::PreTokenizer(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

Result<PreTokenizer> PreTokenizer::create(std::string_view name, std::uint32_t match_limit) {
    const Row* row = find_row(name);
    if (row == nullptr) {
        return fail(Fault::invalid,
                    "tokenizer.ggml.pre is \"{}\", a pre-tokenizer that Trilane does not know; it "
                    "knows {}",
                    name, known_names());
    }
    auto compiled = std::make_unique<Compiled>();
    compiled->row = row;
    for (const char* pattern : row->patterns) {
        TRILANE_TRY(Code code, compile(pattern));
        compiled->stages.push_back(std::move(code));
    }
    compiled->context.reset(pcre2_match_context_create(nullptr));
    if (!compiled->context) {
        return fail(Fault::exhausted, "no memory for a pre-tokenizer");
    }
    pcre2_set_match_limit(compiled->context.get(), match_limit);
    pcre2_set_heap_limit(compiled->context.get(), kHeapLimitKib);
    return PreTokenizer(std::move(compiled));
}

void PreTokenizer::split(std::string_view text, WordSink& sink) const {
    Splitting(compiled_->stages, compiled_->context.get(), sink).run(0, text);
}

bool PreTokenizer::takes_whole_words() const {
    return compiled_->row->takes_whole_words;
}
bool PreTokenizer::adds_bos() const {
    return compiled_->row->adds_bos;
}

}  // namespace trilane::token
