// The parts below the tokenizers: tables, the merging loop, letters, special tokens, words.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "token/byte_letters.h"
#include "token/entry_table.h"
#include "token/merge.h"
#include "token/pair_table.h"
#include "token/pre_tokenizer.h"
#include "token/sample_vocabularies.h"
#include "token/special_splitter.h"

namespace trilane::token {
namespace {

TEST(EntryTable, FindsEveryEntryAndNothingElse) {
    std::vector<std::string> texts;
    for (int i = 0; i < 5000; ++i) {
        texts.push_back(std::to_string(i * 7919) +
                        std::string(static_cast<std::size_t>(i % 13), 'x'));
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const EntryTable table(views);
    for (std::size_t i = 0; i < views.size(); ++i) {
        EXPECT_EQ(table.find(texts[i]), static_cast<std::int32_t>(i));
        EXPECT_EQ(table.find(texts[i] + "y"), EntryTable::kAbsent);
    }
}

TEST(EntryTable, TheFirstOfEqualTextsIsFoundAndEmptyOnesNever) {
    const std::vector<std::string_view> views = {"", "a", "b", "a", ""};
    const EntryTable table(views);
    EXPECT_EQ(table.find("a"), 1);
    EXPECT_EQ(table.find("b"), 2);
    EXPECT_EQ(table.find(""), EntryTable::kAbsent);
    EXPECT_EQ(EntryTable().find("a"), EntryTable::kAbsent);
}

TEST(EntryTable, TextsThatDifferInOneByteAreDifferent) {
    std::vector<std::string> texts;
    for (std::size_t length = 1; length <= 24; ++length) {
        for (std::size_t at = 0; at < length; ++at) {
            texts.emplace_back(length, 'a');
            texts.back()[at] = 'b';
        }
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const EntryTable table(views);
    for (std::size_t i = 0; i < views.size(); ++i) {
        EXPECT_EQ(table.find(views[i]), static_cast<std::int32_t>(i));
    }
}

TEST(EntryTable, ManyAtOnceAreFoundAsOneByOne) {
    const std::vector<std::string_view> views = {"a", "b", "abcdefgh", "abcdefghi", "c"};
    const EntryTable table(views);
    std::vector<std::string_view> asked;
    for (int i = 0; i < 30; ++i) {
        asked.insert(asked.end(), {"", "abcdefghi", "x", "c", "a", "abcdefgh"});
    }
    std::vector<std::int32_t> found(asked.size());
    table.find_all(asked, found);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        EXPECT_EQ(found[i], table.find(asked[i])) << i;
    }
    EntryTable().find_all(asked, found);
    EXPECT_EQ(found, std::vector<std::int32_t>(asked.size(), EntryTable::kAbsent));
}

TEST(PairTable, KeepsTheFirstOfEqualPairs) {
    PairTable pairs(3);
    pairs.add(1, 2, {10, 100});
    pairs.add(2, 1, {11, 101});
    pairs.add(1, 2, {5, 102});
    EXPECT_EQ(pairs.find(1, 2).rank, 10U);
    EXPECT_EQ(pairs.find(1, 2).id, 100);
    EXPECT_EQ(pairs.find(2, 1).id, 101);
    EXPECT_EQ(pairs.find(1, 1).rank, Merge::kNever);
    EXPECT_EQ(pairs.find(-1, -1).rank, Merge::kNever);
    EXPECT_EQ(PairTable(0).find(1, 2).rank, Merge::kNever);
}

using Rules = std::map<std::pair<Id, Id>, Merge>;

Merge look_up(const Rules& rules, Id left, Id right) {
    const auto rule = rules.find({left, right});
    return rule == rules.end() ? Merge{} : rule->second;
}

/// BPE as it is defined: the first of the best pairs, again and again.
std::vector<Id> merge_by_definition(std::vector<Id> word, const Rules& rules) {
    for (;;) {
        std::size_t at = word.size();
        Merge best;
        for (std::size_t i = 0; i + 1 < word.size(); ++i) {
            const Merge merge = look_up(rules, word[i], word[i + 1]);
            if (merge.rank < best.rank) {
                best = merge;
                at = i;
            }
        }
        if (at == word.size()) {
            return word;
        }
        word[at] = best.id;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

TEST(Merger, ShortAndLongWordsMergeAsDefined) {
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
        Rules rules;
        Id next = 3;
        for (std::uint32_t rank = 0; rank < 30; ++rank) {
            const auto pick = [&] {
                return static_cast<Id>(random() % static_cast<unsigned>(next));
            };
            const Id left = pick();
            rules.try_emplace({left, pick()}, Merge{rank, next});
            ++next;
        }
        std::vector<Id> word(random() % 160);
        Merger merger;
        for (Id& id : word) {
            id = static_cast<Id>(random() % 3);
            merger.symbols.push_back({static_cast<std::uint32_t>(merger.symbols.size()), 1, id});
        }
        merger.run([&](const Symbol& left, const Symbol& right) {
            return look_up(rules, left.id, right.id);
        });
        std::vector<Id> merged;
        std::uint32_t end = 0;
        for (const Symbol& symbol : merger.symbols) {
            merged.push_back(symbol.id);
            EXPECT_EQ(symbol.begin, end);
            end += symbol.bytes;
        }
        EXPECT_EQ(end, word.size());
        ASSERT_EQ(merged, merge_by_definition(word, rules)) << "word of " << word.size();
    }
}

TEST(ByteLetters, EveryByteHasItsOwnLetter) {
    std::map<std::string_view, int> seen;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const std::string_view letter = letter_of_byte(static_cast<std::uint8_t>(byte));
        EXPECT_TRUE(seen.emplace(letter, byte).second) << byte;
        std::string text;
        append_bytes_of_letters(letter, text);
        EXPECT_EQ(text, std::string(1, static_cast<char>(byte)));
    }
    EXPECT_EQ(letter_of_byte('A'), "A");
    EXPECT_EQ(letter_of_byte(' '), "\u0120");
    EXPECT_EQ(letter_of_byte('\n'), "\u010A");
    EXPECT_EQ(letter_of_byte(0xAD), "\u0143");  // the last of the 68
}

TEST(ByteLetters, OtherCharactersStandForThemselves) {
    std::string text;
    append_bytes_of_letters("a \u0120\u4e2d\U0001F642\u0144\xC4", text);
    EXPECT_EQ(text, "a  \u4e2d\U0001F642\u0144\xC4");
}

std::vector<std::string> split(const SpecialSplitter& splitter, std::string_view text,
                               bool control) {
    std::vector<std::string> pieces;
    while (!text.empty()) {
        const SpecialSplitter::Piece piece = splitter.next(text, control);
        if (!piece.text.empty()) {
            pieces.emplace_back(piece.text);
        }
        if (piece.id >= 0) {
            pieces.push_back("#" + std::to_string(piece.id));
        }
    }
    return pieces;
}

using Texts = std::vector<std::string>;

Vocabulary special_vocabulary() {
    sample::Builder builder;
    builder.add("<a>", Kind::control);       // 0
    builder.add("<a><b>", Kind::control);    // 1
    builder.add("<u>", Kind::user_defined);  // 2
    builder.add("<n>", Kind::normal);        // 3
    builder.add("", Kind::control);          // 4
    builder.add("<unk>", Kind::unknown);     // 5
    builder.add("<s>", Kind::control);       // 6
    return builder.take();
}

TEST(SpecialSplitter, LongestFirstAndOnlyWhatIsAskedFor) {
    const Vocabulary vocabulary = special_vocabulary();
    const SpecialSplitter splitter(vocabulary);
    EXPECT_EQ(split(splitter, "x<a>y", true), (Texts{"x", "#0", "y"}));
    EXPECT_EQ(split(splitter, "<a><b><a><", true), (Texts{"#1", "#0", "<"}));
    EXPECT_EQ(split(splitter, "<a><u><n><unk>", false), (Texts{"<a>", "#2", "<n><unk>"}));
    EXPECT_EQ(split(splitter, "<a><u><n><unk>", true), (Texts{"#0", "#2", "<n>", "#5"}));
    EXPECT_EQ(split(splitter, "<a", true), (Texts{"<a"}));
    EXPECT_EQ(split(splitter, "", true), Texts{});
    EXPECT_EQ(split(splitter, "<a> \n x", true), (Texts{"#0", " \n x"}));
}

TEST(SpecialSplitter, TrimsWhereTheModelDoes) {
    Vocabulary vocabulary = special_vocabulary();
    vocabulary.trims_after_special = true;
    const SpecialSplitter splitter(vocabulary);
    EXPECT_EQ(split(splitter, "<a> \n x", true), (Texts{"#0", "x"}));
    EXPECT_EQ(split(splitter, "<s> x<a> ", true), (Texts{"#6", " x", "#0"}));
}

class Collected final : public WordSink {
public:
    void word(std::string_view text) override { words.emplace_back(text); }
    Texts words;
};

Texts words_of(std::string_view pre, std::string_view text,
               std::uint32_t match_limit = PreTokenizer::kMatchLimit) {
    const auto pre_tokenizer = PreTokenizer::create(pre, match_limit);
    if (!pre_tokenizer) {
        ADD_FAILURE() << pre_tokenizer.error().message;
        return {};
    }
    Collected collected;
    pre_tokenizer->split(text, collected);
    return collected.words;
}

TEST(PreTokenizer, WordsOfEachFamily) {
    const std::string text = "It's  12345 a\n\n b!!";
    EXPECT_EQ(words_of("gpt-2", text),
              (Texts{"It", "'s", " ", " 12345", " a", "\n\n", " b", "!!"}));
    EXPECT_EQ(words_of("llama-bpe", text),
              (Texts{"It", "'s", " ", " ", "123", "45", " a", "\n\n", " b", "!!"}));
    EXPECT_EQ(words_of("qwen2", text),
              (Texts{"It", "'s", " ", " ", "1", "2", "3", "4", "5", " a", "\n\n", " b", "!!"}));
    EXPECT_EQ(words_of("starcoder", text),
              (Texts{"It", "'s", "  ", "1", "2", "3", "4", "5", " a", "\n\n", " b", "!!"}));
    EXPECT_EQ(words_of("deepseek-llm", text),
              (Texts{"It", "'", "s", "  ", "12345", " a", "\n", "\n", " b", "!!"}));
    EXPECT_EQ(words_of("default", text),
              (Texts{"It", "'", "s", " ", " ", "123", "45", " a", "\n\n", " b", "!!"}));
}

TEST(PreTokenizer, ContractionsOfEitherCase) {
    EXPECT_EQ(words_of("llama-bpe", "WE'LL I'd"), (Texts{"WE", "'LL", " I", "'d"}));
    EXPECT_EQ(words_of("gpt-2", "WE'LL I'd"), (Texts{"WE", "'", "LL", " I", "'d"}));
}

TEST(PreTokenizer, UnicodeWhiteSpaceAndNothingMore) {
    EXPECT_EQ(words_of("gpt-2", "a\u3000\u3000b"), (Texts{"a", "\u3000", "\u3000", "b"}));
    // U+180E was white space until Unicode 6.3.
    EXPECT_EQ(words_of("gpt-2", "a\u180e!b"), (Texts{"a", "\u180e!", "b"}));
}

TEST(PreTokenizer, AMissingNameIsTheDefault) {
    EXPECT_EQ(words_of("", "a+b 1234"), words_of("default", "a+b 1234"));
}

TEST(PreTokenizer, NamesOfTheSameFamily) {
    for (const char* name : {"llama3", "llama-v3", "smaug-bpe"}) {
        EXPECT_EQ(words_of(name, "a 12345!\n"), words_of("llama-bpe", "a 12345!\n")) << name;
    }
    for (const char* name : {"refact", "smollm", "codeshell", "command-r"}) {
        EXPECT_EQ(words_of(name, "a 12345!\n"), words_of("starcoder", "a 12345!\n")) << name;
    }
    EXPECT_TRUE(PreTokenizer::create("llama-v3")->takes_whole_words());
    EXPECT_TRUE(PreTokenizer::create("llama-v3")->adds_bos());
    EXPECT_FALSE(PreTokenizer::create("smaug-bpe")->takes_whole_words());
    EXPECT_FALSE(PreTokenizer::create("gpt-2")->adds_bos());
}

TEST(PreTokenizer, AnUnknownNameIsNamedWithTheKnownOnes) {
    const auto unknown = PreTokenizer::create("volapuk");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().fault, Fault::invalid);
    for (const char* name : {"\"volapuk\"", "gpt-2", "llama-bpe", "qwen2", "deepseek-llm",
                             "starcoder", "tokenizer.ggml.pre"}) {
        EXPECT_NE(unknown.error().message.find(name), std::string::npos) << name;
    }
}

TEST(PreTokenizer, NoTextIsLostWhenMatchesGiveUp) {
    // Runs of spaces before a letter cost the most steps: here more than a match may take.
    std::string text;
    for (int i = 0; i < 40; ++i) {
        text += "word" + std::string(5000, ' ') + "\u4e2d\n";
    }
    for (const char* pre :
         {"gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "starcoder", "default"}) {
        for (const std::uint32_t limit : {1U, 10U, 1000U, PreTokenizer::kMatchLimit}) {
            std::string joined;
            for (const std::string& word : words_of(pre, text, limit)) {
                EXPECT_FALSE(word.empty());
                joined += word;
            }
            EXPECT_EQ(joined, text) << pre << " with " << limit << " steps";
        }
    }
    // With the least limit it does give up: the words differ.
    EXPECT_NE(words_of("llama-bpe", text, 1), words_of("llama-bpe", text));
}

TEST(PreTokenizer, LongRunsAreNotQuadratic) {
    // Each of these would take hours if a run were tried again from each of its characters.
    const std::size_t kRun = std::size_t{1} << 20;
    for (const char* pre :
         {"gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "starcoder", "default"}) {
        for (const char* unit : {" ", "\n", "a", "1", "!", "\u4e2d", "\u3000", " \n", "' "}) {
            std::string text;
            while (text.size() < kRun) {
                text += unit;
            }
            text += "x";
            std::size_t bytes = 0;
            for (const std::string& word : words_of(pre, text)) {
                bytes += word.size();
            }
            EXPECT_EQ(bytes, text.size()) << pre;
        }
    }
}

}  // namespace
}  // namespace trilane::token
