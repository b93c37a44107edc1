// The mask is what accept() says, token by token: over small vocabularies, random texts and the
// bundled model's tokens.
#include "grammar/matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "gguf/gguf.h"
#include "grammar/sample_tries.h"

namespace trilane::grammar {
namespace {

const std::vector<std::string>& grammars() {
    static const std::vector<std::string> all = {
        "root ::= \"a\" (\"b\" | \"cd\")* \"e\"",
        "root ::= \"(\" root \")\" | [a-c]*",
        "root ::= word{3,100} \".\"\nword ::= [a-d] ([a-d] | \"é\")* \" \"",
        "root ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" [\"\\\\nt]){40,60} \"\\\"\"",
        "root ::= \"\\\"\" [^\"]{0,200} \"\\\"\"",
        "root ::= ((\"ab\" | \"a\"){50} \"b\"){3} ([abc]{45} \"d\")*",
        "root ::= value\nvalue ::= \"[\" (value (\",\" value)*)? \"]\" | [ab]+ | \"\\\"\" [^\"]* "
        "\"\\\"\"",
        "root ::= s\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"d\"",
        "root ::= [a-c]{5} | [b-d]{7,} \"!\"",
        "root ::= (\"a\" <[12]>)* \"b\"",
    };
    return all;
}

/// Tokens that cross the borders of everything above, some twice, some longer than
/// kShortTokenBytes.
std::shared_ptr<const TokenTrie> crossing_trie() {
    std::vector<std::string> texts = {"",
                                      "",
                                      "a",
                                      "b",
                                      "c",
                                      "d",
                                      "e",
                                      "(",
                                      ")",
                                      "((",
                                      "))",
                                      "ab",
                                      token_mark(12),
                                      "bb",
                                      "cd",
                                      "cde",
                                      "\"",
                                      "\"\"",
                                      "\\",
                                      "\\\"",
                                      "\\\\",
                                      "[",
                                      "]",
                                      "[[",
                                      "]]",
                                      "],[",
                                      ",",
                                      "a,b",
                                      " ",
                                      "a ",
                                      " b",
                                      ". ",
                                      ".",
                                      "ab c",
                                      "é",
                                      "\xC3",
                                      "\xA9",
                                      "a\xC3",
                                      "\xA9 b",
                                      "x",
                                      "!",
                                      "d!",
                                      "ab",
                                      "\"]",
                                      "]\"",
                                      "bab",
                                      "aaaa",
                                      "bbbb",
                                      "cdcdcdcd",
                                      "abcabcabc",
                                      "a)",
                                      "a\"",
                                      "b))",
                                      "d d d ",
                                      "\xF0\x9F",
                                      "\x98\x80"};
    for (const std::size_t length : {10U, 31U, 32U, 33U, 45U, 64U, 130U}) {
        texts.emplace_back(length, 'a');
        texts.emplace_back(length, 'x');
        texts.push_back(std::string(length, 'x') + "\"");
        texts.push_back(std::string(length, 'b') + ".");
        texts.push_back(std::string(length, 'c') + "d");
    }
    return std::make_shared<const TokenTrie>(std::move(texts), std::vector<token::Id>{0, 1});
}

bool bit(const std::vector<std::uint64_t>& bits, token::Id id) {
    const auto i = static_cast<std::size_t>(id);
    return ((bits[i / 64] >> (i % 64)) & 1U) != 0;
}

/// A matcher of the same grammar after the same tokens that nobody else has used.
bool accepts_after(const Compiled& grammar, const std::shared_ptr<const TokenTrie>& trie,
                   const std::vector<token::Id>& tokens, token::Id id) {
    Matcher matcher(grammar, trie);
    for (const token::Id token : tokens) {
        EXPECT_TRUE(matcher.accept(token));
    }
    return matcher.accept(id);
}

/// Random walks; at each step every token's bit is compared with accept() of a fresh matcher.
void compare_masks(const Compiled& grammar, const std::string& name, int rounds, int steps) {
    const auto trie = crossing_trie();
    std::mt19937 random(5);
    for (int round = 0; round < rounds; ++round) {
        Matcher matcher(grammar, trie);
        std::vector<std::uint64_t> bits(trie->words(), ~std::uint64_t{0});
        std::vector<token::Id> tokens;
        for (int step = 0; step < steps; ++step) {
            matcher.allowed(bits);
            std::vector<token::Id> legal;
            for (token::Id id = 0; id < static_cast<token::Id>(trie->size()); ++id) {
                const bool by_mask = bit(bits, id);
                ASSERT_EQ(by_mask, accepts_after(grammar, trie, tokens, id))
                    << name << " token " << id << " after " << tokens.size();
                if (by_mask && !trie->is_end(id)) {
                    legal.push_back(id);
                }
            }
            ASSERT_EQ(bit(bits, 0), matcher.may_end());
            ASSERT_EQ(legal.empty(), matcher.must_end()) << name;
            if (legal.empty()) {
                break;
            }
            const token::Id next = legal[random() % legal.size()];
            ASSERT_TRUE(matcher.accept(next));
            tokens.push_back(next);
        }
    }
}

TEST(Matcher, TheMaskIsWhatAcceptSays) {
    for (const std::string& source : grammars()) {
        const auto grammar = from_gbnf(source);
        ASSERT_TRUE(grammar) << grammar.error().message;
        compare_masks(*grammar, source, 12, 80);
    }
}

TEST(Matcher, TheMaskKnowsTheLimitOnDepth) {
    for (const std::uint32_t depth : {3U, 4U, 6U, 9U}) {
        for (const std::string& source : grammars()) {
            Builder builder;
            builder.set_depth_max(depth);
            const auto root = add_gbnf(builder, source);
            ASSERT_TRUE(root);
            if (const auto grammar = builder.build(*root)) {
                compare_masks(*grammar, source, 4, 30);
            }
        }
    }
}

/// Whether some text of at most `left` further bytes is one of the grammar's.
bool brute_force_end(const Compiled& grammar, const std::string& text, std::size_t left) {
    Matcher matcher(grammar, sample::bytes());
    if (sample::taken(matcher, text) < text.size()) {
        return false;
    }
    if (matcher.may_end() || left == 0) {
        return matcher.may_end();
    }
    return std::ranges::any_of(std::string_view("abcde()\\\"[],. !"), [&](char c) {
        return brute_force_end(grammar, text + c, left - 1);
    });
}

TEST(Matcher, KnowsTheShortestWayToTheEnd) {
    std::mt19937 random(11);
    for (std::string source : grammars()) {
        if (source.find("<[12]>") != std::string::npos) {
            continue;  // bytes alone spell no marks
        }
        const auto grammar = from_gbnf(source);
        ASSERT_TRUE(grammar);
        for (int round = 0; round < 20; ++round) {
            Matcher matcher(*grammar, sample::bytes());
            std::string text;
            for (int step = 0; step < 12 && !matcher.must_end(); ++step) {
                const char c = "abcde()\\\"[],. !"[random() % 16];
                text += matcher.accept(static_cast<unsigned char>(c)) ? std::string(1, c) : "";
            }
            const std::string before = text;
            while (!matcher.may_end() && text.size() < before.size() + 1000) {
                const auto next = matcher.next_to_end();
                ASSERT_TRUE(next) << source << " after " << text;
                ASSERT_TRUE(matcher.accept(*next));
                text += static_cast<char>(*next);
            }
            ASSERT_TRUE(matcher.may_end()) << source << " after " << before;
            const auto bytes = static_cast<std::uint32_t>(text.size() - before.size());
            Matcher again(*grammar, sample::bytes());
            ASSERT_EQ(sample::taken(again, before), before.size());
            EXPECT_TRUE(again.can_end_within(bytes));
            EXPECT_EQ(bytes > 0 && again.can_end_within(bytes - 1), false);
            if (bytes > 0 && bytes <= 3) {
                EXPECT_FALSE(brute_force_end(*grammar, before, bytes - 1)) << source << before;
            }
        }
    }
}

TEST(Matcher, RoomIsCountedInTokens) {
    const auto trie = crossing_trie();
    Matcher matcher(*from_gbnf("root ::= [ab]* \"cdcdcdcd\" \"cd\""), trie);
    EXPECT_FALSE(matcher.can_end_within(1));
    EXPECT_TRUE(matcher.can_end_within(2));
    EXPECT_TRUE(matcher.leaves_room(2, 2));  // "a"
    EXPECT_FALSE(matcher.leaves_room(2, 1));
    EXPECT_FALSE(matcher.leaves_room(5, 9));  // "d", which may not come
    EXPECT_EQ(trie->bytes_of(*matcher.next_to_end()), "cdcdcdcd");
}

TEST(Matcher, ARefusedTokenChangesNothing) {
    Matcher matcher(*from_gbnf("root ::= \"ab\""), sample::bytes());
    EXPECT_FALSE(matcher.accept('b'));
    EXPECT_FALSE(matcher.accept(256));
    EXPECT_FALSE(matcher.accept(-1));
    EXPECT_FALSE(matcher.accept(5000));
    EXPECT_TRUE(matcher.accept('a'));
    EXPECT_FALSE(matcher.may_end());
    EXPECT_FALSE(matcher.must_end());
    EXPECT_TRUE(matcher.accept('b'));
    EXPECT_TRUE(matcher.may_end());
    EXPECT_TRUE(matcher.must_end());
    EXPECT_TRUE(matcher.accept(256));
    EXPECT_FALSE(matcher.accept(256));
    std::vector<std::uint64_t> bits(sample::bytes()->words(), 7);
    matcher.allowed(bits);
    EXPECT_EQ(bits, std::vector<std::uint64_t>(bits.size(), 0));
}

/// Grammars that lead to ever new places fill a memo; matchers move on and nothing else changes.
TEST(Matcher, OutlivesAFullMemo) {
    const auto grammar = from_gbnf("root ::= (\"a\" | \"b\"){100000000,200000000}");
    ASSERT_TRUE(grammar);
    const auto trie = crossing_trie();
    Matcher matcher(*grammar, trie);
    std::vector<std::uint64_t> bits(trie->words());
    for (int i = 0; i < 150'000; ++i) {
        ASSERT_TRUE(matcher.accept(2));
    }
    matcher.allowed(bits);
    EXPECT_TRUE(bit(bits, 2));
    EXPECT_FALSE(bit(bits, 4));
    EXPECT_FALSE(matcher.may_end());
}

TEST(Matcher, AmbiguityHasALimit) {
    // Ways double with every letter, and each has a stack of its own.
    const auto grammar = from_gbnf(
        "root ::= s\ns ::= t | u\nt ::= \"a\" s \"b\" | \"\"\nu ::= \"a\" s \"c\" | \"\"");
    ASSERT_TRUE(grammar);
    Matcher matcher(*grammar, sample::bytes());
    int taken = 0;
    while (taken < 64 && matcher.accept('a')) {
        ++taken;
    }
    EXPECT_GE(taken, 8);
    EXPECT_LT(taken, 64);
}

TEST(Matcher, OneGrammarOnSeveralThreads) {
    const auto grammar = from_gbnf(grammars()[6]);
    const auto trie = crossing_trie();
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
        threads.emplace_back([&, seed] {
            std::mt19937 random(seed);
            for (int round = 0; round < 20; ++round) {
                Matcher matcher(*grammar, trie);
                std::vector<std::uint64_t> bits(trie->words());
                for (int step = 0; step < 30 && !matcher.must_end(); ++step) {
                    matcher.allowed(bits);
                    token::Id id = 0;
                    do {
                        id = static_cast<token::Id>(random() % trie->size());
                    } while (!bit(bits, id) || trie->is_end(id));
                    EXPECT_TRUE(matcher.accept(id));
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST(TokenTrie, HoldsTheBundledVocabulary) {
    const auto file =
        gguf::File::open(TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf");
    ASSERT_TRUE(file);
    const auto tokenizer = token::Tokenizer::from_gguf(*file);
    ASSERT_TRUE(tokenizer);
    const auto trie = std::make_shared<const TokenTrie>(**tokenizer);
    EXPECT_EQ(trie->size(), (*tokenizer)->size());
    std::size_t held = 0;
    for (const auto* half : {&trie->short_tokens(), &trie->long_tokens()}) {
        held += half->ids.size();
    }
    EXPECT_EQ(held + trie->ends().size() + 1, trie->size());  // the byte 0xFF is left out
    for (const token::Id id : (*tokenizer)->encode("Once upon a time é", {false, false})) {
        EXPECT_EQ(trie->bytes_of(id), (*tokenizer)->bytes_of(id, false));
    }
    EXPECT_TRUE(trie->is_end(2));
}

}  // namespace
}  // namespace trilane::grammar
