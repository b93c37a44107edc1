// Fuzz target: any bytes as GBNF, as a regular expression, as a JSON schema or as bytes of an
// answer. Byte 0 chooses the reader, the next two how the answer is walked.
#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "grammar/grammar.h"
#include "grammar/matcher.h"
#include "grammar/sample_tries.h"
#include "json/json.h"

namespace {

using namespace trilane;

constexpr int kStepsMax = 200;

Result<grammar::Compiled> compiled(unsigned reader, std::string_view source) {
    switch (reader % 3) {
        case 0:
            return grammar::from_gbnf(source);
        case 1:
            return grammar::from_regex(source);
        default:
            return grammar::from_json_schema(source);
    }
}

/// Any walk along allowed tokens stays allowed, and what it has written when it may end is JSON
/// where the grammar is a schema's.
void walk(const grammar::Compiled& grammar, bool json, std::uint32_t seed) {
    const auto trie = grammar::sample::bytes();
    grammar::Matcher matcher(grammar, trie);
    std::mt19937 random(seed);
    std::vector<std::uint64_t> bits(trie->words());
    std::string text;
    for (int step = 0; step < kStepsMax; ++step) {
        matcher.allowed(bits);
        std::vector<token::Id> ids;
        for (token::Id id = 0; id < 256; ++id) {
            if (((bits[static_cast<std::size_t>(id) / 64] >> (static_cast<unsigned>(id) % 64)) &
                 1U) != 0) {
                ids.push_back(id);
            }
        }
        if (matcher.may_end() && json) {
            TRILANE_CHECK(json::parse(text).has_value());
        }
        if (ids.empty()) {
            break;
        }
        const token::Id id = ids[random() % ids.size()];
        TRILANE_CHECK(matcher.accept(id));
        text += static_cast<char>(id);
    }
    // Readers of the stream never wait for the rest of a character that cannot come. A token by
    // its id is no text.
    TRILANE_CHECK(text.find('\xFF') != std::string::npos ||
                  is_valid_utf8(std::string_view(text).substr(0, utf8_complete_prefix(text))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) {
        return 0;
    }
    const unsigned reader = data[0];
    const std::uint32_t seed = data[1] | static_cast<std::uint32_t>(data[2]) << 8U;
    const std::string_view source(reinterpret_cast<const char*>(data) + 3, size - 3);
    const auto grammar = compiled(reader, source);
    if (grammar) {
        walk(*grammar, reader % 3 == 2, seed);
    } else {
        TRILANE_CHECK(!grammar.error().message.empty());
    }
    return 0;
}
