// Tokenizers over small vocabularies in memory: rules that the recorded vectors do not show,
// refusals, streaming, threads.
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <thread>

#include "base/utf8.h"
#include "gguf/writer.h"
#include "token/encode_options_test.h"
#include "token/families.h"
#include "token/sample_vocabularies.h"

namespace trilane::token {
namespace {

std::shared_ptr<const Tokenizer> make(Vocabulary vocabulary) {
    auto tokenizer = make_tokenizer(std::move(vocabulary));
    if (!tokenizer) {
        ADD_FAILURE() << tokenizer.error().message;
        return nullptr;
    }
    return *std::move(tokenizer);
}

/// Entries with a bar after each: "he|ll|o|".
std::string entries(const Tokenizer& tokenizer, std::string_view text,
                    EncodeOptions options = kPlain) {
    std::string joined;
    for (const Id id : tokenizer.encode(text, options)) {
        joined.append(tokenizer.entry(id)).append("|");
    }
    return joined;
}

TEST(ByteBpe, MergesByRankWithinWords) {
    const auto bpe = make(sample::byte_bpe("gpt-2"));
    EXPECT_EQ(entries(*bpe, "hello"), "hell|o|");
    EXPECT_EQ(entries(*bpe, " the the"), "\u0120the|\u0120the|");
    EXPECT_EQ(entries(*bpe, "aaaaaaa"), "aaaa|aa|a|");
    EXPECT_EQ(entries(*bpe, "1234"), "123|4|");
    EXPECT_EQ(entries(*bpe, ""), "");
}

TEST(ByteBpe, SpecialTokensOnlyWhenAskedFor) {
    const auto bpe = make(sample::byte_bpe("gpt-2"));
    EXPECT_EQ(entries(*bpe, "<|user|>he", kSpecial), "<|user|>|he|");
    EXPECT_EQ(entries(*bpe, "<|user|>"), "<|||u|s|e|r|||>|");
    EXPECT_EQ(entries(*bpe, "he<tool>he"), "he|<tool>|he|");  // user-defined: always
}

TEST(ByteBpe, BosAndEosAsTheMetadataSay) {
    Vocabulary vocabulary = sample::byte_bpe("llama-bpe");
    EXPECT_TRUE(make(vocabulary)->adds_bos());
    EXPECT_EQ(make(vocabulary)->encode("", {}), (std::vector<Id>{0}));
    vocabulary.add_bos = false;
    vocabulary.add_eos = true;
    EXPECT_FALSE(make(vocabulary)->adds_bos());
    EXPECT_EQ(make(vocabulary)->encode("", {}), (std::vector<Id>{1}));
    EXPECT_EQ(make(vocabulary)->encode("", kPlain), std::vector<Id>{});
    EXPECT_FALSE(make(sample::byte_bpe("qwen2"))->adds_bos());
}

TEST(ByteBpe, AWholeWordThatIsAnEntryIsTakenWhereTheFamilyDoes) {
    for (const char* pre : {"llama-bpe", "smaug-bpe"}) {
        sample::Builder builder;
        builder.vocabulary() = sample::byte_bpe(pre);
        const auto texts = builder.vocabulary().keeper;
        builder.add("hollo");  // no merge makes it
        Vocabulary vocabulary = builder.vocabulary();
        const auto bpe = make(std::move(vocabulary));
        EXPECT_EQ(entries(*bpe, "hollo"),
                  std::string_view(pre) == "llama-bpe" ? "hollo|" : "h|o|ll|o|");
    }
}

TEST(ByteBpe, BytesWithoutALetterAreLeftOut) {
    sample::Builder builder;
    builder.add("a");
    builder.add("b");
    builder.vocabulary().pre = "gpt-2";
    const auto bpe = make(builder.take());
    EXPECT_EQ(entries(*bpe, "a?b"), "a|b|");
}

TEST(ByteBpe, MergesThatNameNoEntryAreLeftOut) {
    sample::Builder builder;
    for (const char* entry : {"a", "b", "c", "ab"}) {
        builder.add(entry);
    }
    builder.vocabulary().pre = "gpt-2";
    builder.vocabulary().merges = {"b c", "nospace", " ", "", "x y", "a b"};
    const auto bpe = make(builder.take());
    EXPECT_EQ(entries(*bpe, "abc"), "ab|c|");
}

TEST(ByteBpe, InvalidUtf8IsReadAsTheReplacementCharacter) {
    const auto bpe = make(sample::byte_bpe("gpt-2"));
    EXPECT_EQ(bpe->decode(bpe->encode("a\xFF\xC3", kPlain), false), "a\uFFFD\uFFFD");
}

TEST(ByteBpe, AMegabyteOfOneLetterIsNotQuadratic) {
    const std::string word(std::size_t{1} << 20, 'a');
    for (const char* pre : {"gpt-2", "llama-bpe", "deepseek-llm"}) {
        const auto bpe = make(sample::byte_bpe(pre));
        EXPECT_EQ(bpe->encode(word, kPlain).size(), word.size() / 4);
    }
    const auto sentencepiece = make(sample::sentencepiece());
    EXPECT_EQ(sentencepiece->decode(sentencepiece->encode(word, kPlain), false), word);
}

TEST(SentencePiece, MergesByScoreWithASpaceInFront) {
    const auto spm = make(sample::sentencepiece());
    EXPECT_EQ(entries(*spm, "the the"), "\u2581the|\u2581the|");
    EXPECT_EQ(entries(*spm, "hello"), "\u2581|hell|o|");
    EXPECT_EQ(entries(*spm, "   hello"), "\u2581\u2581|\u2581\u2581|hell|o|");
    EXPECT_EQ(entries(*spm, ""), "");
    EXPECT_EQ(spm->encode("", {}), (std::vector<Id>{1}));
}

TEST(SentencePiece, WithoutTheSpaceWhereTheMetadataSaySo) {
    Vocabulary vocabulary = sample::sentencepiece();
    vocabulary.add_space_prefix = false;
    const auto spm = make(std::move(vocabulary));
    EXPECT_EQ(entries(*spm, "hello"), "hell|o|");
    EXPECT_EQ(spm->decode(spm->encode(" hello", kPlain), false), " hello");
}

TEST(SentencePiece, ACharacterWithoutAnEntryIsSpelledInBytes) {
    const auto spm = make(sample::sentencepiece());
    EXPECT_EQ(entries(*spm, "a\u00E9\n"), "\u2581a|<0xC3>|<0xA9>|<0x0A>|");
    EXPECT_EQ(spm->decode(spm->encode("a\u00E9\n", kPlain), false), "a\u00E9\n");
}

TEST(SentencePiece, WithoutByteEntriesItIsUnknown) {
    sample::Builder builder;
    builder.vocabulary().family = Family::sentencepiece;
    builder.vocabulary().unknown = builder.add("<unk>", Kind::unknown);
    builder.add("\u2581");
    const auto spm = make(builder.take());
    EXPECT_EQ(spm->encode("\u00E9\u00E9", kPlain), (std::vector<Id>{1, 0, 0}));
}

TEST(SentencePiece, LettersNeverMergeToAControlToken) {
    const auto spm = make(sample::sentencepiece());
    EXPECT_EQ(entries(*spm, "<s>"), "\u2581|<|s|>|");
    EXPECT_EQ(entries(*spm, "<s>a", kSpecial), "<s>|\u2581a|");
    EXPECT_EQ(entries(*spm, "a<tool>a"), "\u2581a|<tool>|\u2581a|");
}

TEST(SentencePiece, EntriesAcrossWordsAreMergedToo) {
    sample::Builder builder;
    builder.vocabulary().family = Family::sentencepiece;
    builder.add("<unk>", Kind::unknown);
    float score = 0;
    for (const char* entry : {"a\u2581", "a\u2581a", "\u2581", "a"}) {
        builder.add(entry, Kind::normal, score--);
    }
    const auto spm = make(builder.take());
    EXPECT_EQ(entries(*spm, "a a"), "\u2581|a\u2581a|");
}

TEST(SentencePiece, OnlyTheFirstSpaceOfATextIsTheFamilys) {
    const auto spm = make(sample::sentencepiece());
    for (const char* text : {"", " ", "  ", "a", " a", "  a  ", "the the", "\n a"}) {
        EXPECT_EQ(spm->decode(spm->encode(text, {}), false), text);
    }
}

TEST(SentencePiece, ScoresThatAreNoNumbersDoNoHarm) {
    Vocabulary vocabulary = sample::sentencepiece();
    for (std::size_t i = 0; i < vocabulary.scores.size(); i += 2) {
        vocabulary.scores[i] = std::numeric_limits<float>::quiet_NaN();
    }
    const auto spm = make(std::move(vocabulary));
    const std::string text = "the hello " + std::string(200, 'a');
    EXPECT_EQ(spm->decode(spm->encode(text, kPlain), false), text);
}

TEST(WordPiece, LongestEntriesFromTheLeft) {
    const auto bert = make(sample::wordpiece());
    EXPECT_EQ(entries(*bert, "The hello."), "\u2581the|\u2581he|ll|o|\u2581.|");
    EXPECT_EQ(entries(*bert, "hellx"), "[UNK]|");  // one gap and the word is unknown
    EXPECT_EQ(entries(*bert, "  \t\n"), "");
}

TEST(WordPiece, AccentsCaseAndControlsGo) {
    const auto bert = make(sample::wordpiece());
    EXPECT_EQ(entries(*bert, "CAF\u00C9 cafe\u0301 ca\u200Bfe\u0001"),
              "\u2581cafe|\u2581cafe|\u2581cafe|");
}

TEST(WordPiece, CaseAndAccentsStayWhereTheMetadataSaySo) {
    Vocabulary vocabulary = sample::wordpiece();
    vocabulary.lower_case = false;
    const auto bert = make(std::move(vocabulary));
    EXPECT_EQ(entries(*bert, "The the caf\u00E9"), "[UNK]|\u2581the|[UNK]|");
}

TEST(WordPiece, IdeographsAndPunctuationAreWords) {
    const auto bert = make(sample::wordpiece());
    EXPECT_EQ(entries(*bert, "the\u4e2d\u6587the"),
              "\u2581the|\u2581\u4e2d|\u2581\u6587|\u2581the|");
    EXPECT_EQ(entries(*bert, "[UNK]"), "\u2581[|\u2581unk|\u2581]|");
    EXPECT_EQ(entries(*bert, "[UNK]", kSpecial), "[UNK]|");
}

TEST(WordPiece, AWordOverTheLimitIsUnknown) {
    const auto bert = make(sample::wordpiece());
    EXPECT_EQ(bert->encode(std::string(100, 'a'), kPlain).size(), 100U);
    EXPECT_EQ(entries(*bert, std::string(101, 'a')), "[UNK]|");
    EXPECT_EQ(entries(*bert, "the " + std::string(std::size_t{1} << 20, 'a')), "\u2581the|[UNK]|");
}

TEST(WordPiece, FramesAndDecodes) {
    const auto bert = make(sample::wordpiece());
    EXPECT_EQ(entries(*bert, "the", {}), "[CLS]|\u2581the|[SEP]|");
    EXPECT_EQ(bert->decode(bert->encode("the hello", {}), false), "the hello");
    EXPECT_EQ(bert->decode(bert->encode("the", {}), true), "[CLS] the[SEP]");
}

TEST(Ends, ByIdAndByName) {
    sample::Builder builder;
    builder.vocabulary().pre = "gpt-2";
    builder.vocabulary().eos = builder.add("<fin>", Kind::control);
    builder.vocabulary().eot = builder.add("<turn>", Kind::control);
    builder.vocabulary().eom = builder.add("<message>", Kind::control);
    const Id named = builder.add("<|im_end|>", Kind::control);
    const Id user = builder.add("<end_of_turn>", Kind::user_defined);
    const Id text = builder.add("</s>", Kind::normal);
    const Id start = builder.add("<|im_start|>", Kind::control);
    const auto bpe = make(builder.take());
    for (const Id id : {0, 1, 2, named, user}) {
        EXPECT_TRUE(bpe->is_end(id)) << id;
    }
    EXPECT_FALSE(bpe->is_end(text));
    EXPECT_FALSE(bpe->is_end(start));
    EXPECT_FALSE(bpe->is_end(-1));
    EXPECT_FALSE(bpe->is_end(1000));
}

TEST(Rendering, IdsOutsideTheVocabularyAreNothing) {
    for (const auto& tokenizer : {make(sample::byte_bpe("gpt-2")), make(sample::sentencepiece()),
                                  make(sample::wordpiece())}) {
        for (const Id id : {-1, -1000, static_cast<Id>(tokenizer->size()),
                            std::numeric_limits<Id>::max(), std::numeric_limits<Id>::min()}) {
            EXPECT_EQ(tokenizer->bytes_of(id, true), "");
            EXPECT_EQ(tokenizer->entry(id), "");
            EXPECT_FALSE(tokenizer->is_control(id));
            EXPECT_EQ(tokenizer->decode(std::vector<Id>{id}, true), "");
        }
    }
}

TEST(StreamDecoder, NeverSplitsACharacter) {
    for (const auto& tokenizer : {make(sample::byte_bpe("gpt-2")), make(sample::sentencepiece())}) {
        const std::string text = "a\u00E9\u4e2d\U0001F642 hello\U0001F468\u200D\U0001F469";
        StreamDecoder stream(tokenizer);
        std::string joined;
        for (const Id id : tokenizer->encode(text, kPlain)) {
            const std::string part = stream.push(id);
            EXPECT_TRUE(is_valid_utf8(part));
            joined += part;
        }
        joined += stream.flush();
        // A stream continues a text, so it keeps the space that SentencePiece put in front.
        EXPECT_EQ(joined.substr(joined.size() - text.size()), text);
        EXPECT_LE(joined.size(), text.size() + 1);
    }
}

TEST(StreamDecoder, WhatNeverBecomesACharacterIsRepaired) {
    const auto bpe = make(sample::byte_bpe("gpt-2"));
    const Id byte_0 = 4;
    StreamDecoder stream(bpe);
    EXPECT_EQ(stream.push(byte_0 + 0xE2), "");
    EXPECT_EQ(stream.push(byte_0 + 0x82), "");
    EXPECT_EQ(stream.push(byte_0 + 'a'), "\uFFFDa");
    EXPECT_EQ(stream.push(byte_0 + 0xFF), "\uFFFD");
    EXPECT_EQ(stream.push(byte_0 + 0xF0), "");
    EXPECT_EQ(stream.push(0), "");  // a control token says nothing
    EXPECT_EQ(stream.flush(), "\uFFFD");
    EXPECT_EQ(stream.flush(), "");
}

TEST(Threads, EncodeFromManyAtOnce) {
    for (const auto& tokenizer : {make(sample::byte_bpe("deepseek-llm")),
                                  make(sample::sentencepiece()), make(sample::wordpiece())}) {
        const std::string text =
            "the hello 123 <tool> \u4e2d\u6587 caf\u00E9 " + std::string(300, 'a');
        const std::vector<Id> expected = tokenizer->encode(text, {});
        std::vector<std::thread> threads;
        std::array<bool, 4> equal{};
        for (bool& mine : equal) {
            threads.emplace_back([&] {
                mine = true;
                for (int round = 0; round < 50; ++round) {
                    mine = mine && tokenizer->encode(text, {}) == expected;
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        EXPECT_EQ(equal, (std::array<bool, 4>{true, true, true, true}));
    }
}

// What a file may get wrong.

gguf::Writer small_file() {
    gguf::Writer writer;
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.pre", "gpt-2");
    writer.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab", "<|end|>"});
    writer.add("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
    return writer;
}

Result<std::shared_ptr<const Tokenizer>> from(const gguf::Writer& writer) {
    const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.bytes());
    const auto file = gguf::File::parse(*bytes);
    if (!file) {
        return tl::unexpected(file.error());
    }
    // The parsed file only borrows its bytes: tie them together.
    struct Both {
        std::shared_ptr<const std::vector<std::byte>> bytes;
        std::shared_ptr<const gguf::File> file;
    };
    const auto both = std::make_shared<Both>(Both{bytes, *file});
    return Tokenizer::from_gguf({both, both->file.get()});
}

void expect_refused(const gguf::Writer& writer, Fault fault, std::string_view named) {
    const auto tokenizer = from(writer);
    ASSERT_FALSE(tokenizer) << named;
    EXPECT_EQ(tokenizer.error().fault, fault) << tokenizer.error().message;
    EXPECT_NE(tokenizer.error().message.find(named), std::string::npos)
        << tokenizer.error().message;
}

TEST(FromGguf, ASmallFile) {
    gguf::Writer writer = small_file();
    writer.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1, 3});
    writer.add("tokenizer.ggml.eos_token_id", std::uint32_t{3});
    writer.add("tokenizer.ggml.bos_token_id", std::uint32_t{0xFFFFFFFF});  // how files say "none"
    const auto tokenizer = from(writer);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    EXPECT_EQ((*tokenizer)->encode("ab<|end|>", kSpecial), (std::vector<Id>{2, 3}));
    EXPECT_EQ((*tokenizer)->bos(), std::nullopt);
    EXPECT_EQ((*tokenizer)->eos(), 3);
    EXPECT_TRUE((*tokenizer)->is_end(3));
}

TEST(FromGguf, AMissingPreTokenizerIsSaid) {
    gguf::Writer writer;
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
    writer.add("tokenizer.ggml.merges", std::vector<std::string>{});
    const auto tokenizer = from(writer);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    EXPECT_NE((*tokenizer)->description().find("no pre-tokenizer"), std::string::npos);
}

TEST(FromGguf, UnknownNamesAreNamed) {
    gguf::Writer model;
    model.add("tokenizer.ggml.model", "volapuk");
    expect_refused(model, Fault::invalid, "\"volapuk\"");
    expect_refused(model, Fault::invalid, "gpt2");
    gguf::Writer pre;
    pre.add("tokenizer.ggml.model", "gpt2");
    pre.add("tokenizer.ggml.pre", "esperanto");
    pre.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
    pre.add("tokenizer.ggml.merges", std::vector<std::string>{});
    expect_refused(pre, Fault::invalid, "\"esperanto\"");
}

TEST(FromGguf, WhatIsMissingOrContradictsItselfIsNamed) {
    expect_refused(gguf::Writer(), Fault::corrupt, "tokenizer.ggml.model");
    gguf::Writer no_tokens;
    no_tokens.add("tokenizer.ggml.model", "bert");
    expect_refused(no_tokens, Fault::corrupt, "tokenizer.ggml.tokens");
    gguf::Writer no_merges;
    no_merges.add("tokenizer.ggml.model", "gpt2");
    no_merges.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
    expect_refused(no_merges, Fault::corrupt, "tokenizer.ggml.merges");
    gguf::Writer no_scores;
    no_scores.add("tokenizer.ggml.model", "llama");
    no_scores.add("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
    expect_refused(no_scores, Fault::corrupt, "tokenizer.ggml.scores");
    gguf::Writer few_types = small_file();
    few_types.add("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 1, 1});
    expect_refused(few_types, Fault::corrupt, "tokenizer.ggml.token_type");
    gguf::Writer id_beyond = small_file();
    id_beyond.add("tokenizer.ggml.eos_token_id", std::uint32_t{4});
    expect_refused(id_beyond, Fault::corrupt, "tokenizer.ggml.eos_token_id");
    gguf::Writer no_bos = small_file();
    no_bos.add("tokenizer.ggml.add_bos_token", true);
    expect_refused(no_bos, Fault::corrupt, "tokenizer.ggml.add_bos_token");
    gguf::Writer empty;
    empty.add("tokenizer.ggml.model", "bert");
    empty.add("tokenizer.ggml.tokens", std::vector<std::string>{});
    expect_refused(empty, Fault::corrupt, "tokenizer.ggml.tokens");
}

}  // namespace
}  // namespace trilane::token
