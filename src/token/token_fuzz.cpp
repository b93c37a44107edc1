// Fuzz target: any bytes as text for each family, and any ids as tokens. Byte 0 chooses the
// vocabulary, byte 1 the options; the rest is the text.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "token/families.h"
#include "token/sample_vocabularies.h"

namespace {

using trilane::token::Id;
using trilane::token::make_tokenizer;
using trilane::token::Tokenizer;
namespace sample = trilane::token::sample;

constexpr std::size_t kBpeFamilies = 6;

std::vector<std::shared_ptr<const Tokenizer>> make_all() {
    std::vector<std::shared_ptr<const Tokenizer>> all;
    for (const char* pre :
         {"gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "starcoder", "default"}) {
        all.push_back(*make_tokenizer(sample::byte_bpe(pre)));
    }
    all.push_back(*make_tokenizer(sample::sentencepiece()));
    all.push_back(*make_tokenizer(sample::wordpiece()));
    return all;
}

void check_text(const Tokenizer& tokenizer, std::string_view text, bool lossless, unsigned flags) {
    const bool parse_special = (flags & 2U) != 0;
    const auto ids =
        tokenizer.encode(text, {.add_special = (flags & 1U) != 0, .parse_special = parse_special});
    for (const Id id : ids) {
        TRILANE_CHECK(id >= 0 && static_cast<std::size_t>(id) < tokenizer.size());
    }
    const std::string decoded = tokenizer.decode(ids, parse_special);
    TRILANE_CHECK(trilane::is_valid_utf8(decoded));
    if (lossless && (flags & 1U) == 0) {
        TRILANE_CHECK(decoded == trilane::utf8_repaired(text));
    }
}

void check_ids(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view bytes) {
    trilane::token::StreamDecoder stream(tokenizer);
    std::string streamed;
    for (; bytes.size() >= 2; bytes.remove_prefix(2)) {
        std::uint16_t low = 0;
        std::memcpy(&low, bytes.data(), sizeof low);
        const Id id = static_cast<Id>(low % 600) - 8;
        const std::string part = stream.push(id);
        TRILANE_CHECK(trilane::is_valid_utf8(part));
        static_cast<void>(tokenizer->is_end(id));
        static_cast<void>(tokenizer->entry(id));
    }
    TRILANE_CHECK(trilane::is_valid_utf8(stream.flush()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto kTokenizers = make_all();
    if (size < 2) {
        return 0;
    }
    const std::size_t chosen = data[0] % kTokenizers.size();
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    check_text(*kTokenizers[chosen], text, chosen < kBpeFamilies, data[1]);
    check_ids(kTokenizers[chosen], text);
    return 0;
}
