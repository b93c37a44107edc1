// Tokenizers of real files against their recorded vectors: the vocabularies in tests/fixtures,
// those that TRILANE_EXTRA_FIXTURES adds, the bundled model and stories260K.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "gguf/gguf.h"
#include "json/json.h"
#include "token/encode_options_test.h"
#include "token/tokenizer.h"

namespace trilane::token {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = TRILANE_SOURCE_DIR;

std::shared_ptr<const Tokenizer> load(const fs::path& path) {
    const auto file = gguf::File::open(path.string());
    if (!file) {
        ADD_FAILURE() << path << ": " << file.error().message;
        return nullptr;
    }
    auto tokenizer = Tokenizer::from_gguf(*file);
    if (!tokenizer) {
        ADD_FAILURE() << path << ": " << tokenizer.error().message;
        return nullptr;
    }
    return *std::move(tokenizer);
}

std::string read(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    EXPECT_TRUE(stream) << path;
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::shared_ptr<const Tokenizer> load_fixture(std::string_view name) {
    return load(kSource / "tests/fixtures/tokenizers" /
                ("ggml-vocab-" + std::string(name) + ".gguf"));
}

std::shared_ptr<const Tokenizer> load_nano() {
    return load(kSource / "models/trilane-nano/trilane-nano-tq2_0.gguf");
}

std::vector<std::string> split_texts(const std::string& all) {
    constexpr std::string_view kMarker = "\n__ggml_vocab_test__\n";
    std::vector<std::string> texts;
    for (std::size_t at = 0; at < all.size();) {
        const std::size_t end = std::min(all.find(kMarker, at), all.size());
        texts.push_back(all.substr(at, end - at));
        at = end + kMarker.size();
    }
    return texts;
}

std::vector<std::vector<Id>> read_ids(const fs::path& path) {
    std::vector<std::vector<Id>> lines;
    std::istringstream all(read(path));
    for (std::string line; std::getline(all, line);) {
        std::istringstream numbers(line);
        lines.emplace_back(std::istream_iterator<Id>(numbers), std::istream_iterator<Id>());
    }
    return lines;
}

std::vector<Id> ids_of(const json::Value& value) {
    return value.get<std::vector<Id>>();
}

/// Every vocabulary that has its vectors beside it.
std::vector<fs::path> vocabularies() {
    std::vector<fs::path> folders = {kSource / "tests/fixtures/tokenizers"};
    if (const char* extra = std::getenv("TRILANE_EXTRA_FIXTURES")) {
        folders.push_back(fs::path(extra) / "tokenizers");
    }
    std::vector<fs::path> found;
    for (const fs::path& folder : folders) {
        std::error_code error;
        for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
            if (entry.path().extension() == ".gguf") {
                found.push_back(entry.path());
            }
        }
        EXPECT_FALSE(error) << folder << ": " << error.message();
    }
    std::sort(found.begin(), found.end());
    return found;
}

class Vectors : public testing::TestWithParam<fs::path> {};

TEST_P(Vectors, EveryLineIsEqual) {
    const auto tokenizer = load(GetParam());
    ASSERT_TRUE(tokenizer);
    const std::vector<std::string> texts = split_texts(read(GetParam().string() + ".inp"));
    const std::vector<std::vector<Id>> expected = read_ids(GetParam().string() + ".out");
    ASSERT_GE(texts.size(), 40U);
    ASSERT_EQ(texts.size(), expected.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(tokenizer->encode(texts[i], kPlain), expected[i])
            << "line " << i + 1 << ": " << texts[i];
    }
}

TEST_P(Vectors, TextComesBack) {
    const auto tokenizer = load(GetParam());
    ASSERT_TRUE(tokenizer);
    // WordPiece keeps neither case nor white space: there the ids come back.
    const bool lossless = !tokenizer->description().starts_with("WordPiece");
    for (const std::string& text : split_texts(read(GetParam().string() + ".inp"))) {
        const std::vector<Id> ids = tokenizer->encode(text, kPlain);
        const std::string decoded = tokenizer->decode(ids, true);
        if (lossless) {
            EXPECT_EQ(decoded, text);
        } else {
            EXPECT_EQ(tokenizer->encode(decoded, kSpecial), ids) << text;
        }
    }
}

std::string vocabulary_name(const testing::TestParamInfo<fs::path>& parameter) {
    std::string name = parameter.param.stem().string() + "_" + std::to_string(parameter.index);
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Files, Vectors, testing::ValuesIn(vocabularies()), vocabulary_name);

TEST(Files, TheFourVocabulariesOfTheRepositoryAreThere) {
    for (const char* name : {"gpt-2", "phi-3", "bert-bge", "qwen2"}) {
        EXPECT_TRUE(load_fixture(name)) << name;
    }
}

TEST(Files, Descriptions) {
    EXPECT_EQ(load_fixture("gpt-2")->description(), "byte-level BPE (gpt-2)");
    EXPECT_EQ(load_fixture("qwen2")->description(), "byte-level BPE (qwen2)");
    EXPECT_EQ(load_fixture("phi-3")->description(), "SentencePiece BPE (phi-3)");
    EXPECT_EQ(load_fixture("bert-bge")->description(), "WordPiece (bert-bge)");
}

TEST(Files, EndsOfQwenAndPhi) {
    const auto qwen = load_fixture("qwen2");
    EXPECT_TRUE(qwen->is_end(151643));   // <|endoftext|>, its EOS
    EXPECT_TRUE(qwen->is_end(151645));   // <|im_end|>, by name
    EXPECT_FALSE(qwen->is_end(151644));  // <|im_start|>
    EXPECT_TRUE(qwen->is_control(151644));
    EXPECT_FALSE(qwen->adds_bos());
    const auto phi = load_fixture("phi-3");
    EXPECT_TRUE(phi->is_end(32000));   // <|endoftext|>
    EXPECT_TRUE(phi->is_end(32007));   // <|end|>
    EXPECT_FALSE(phi->is_end(32001));  // <|assistant|>
}

TEST(Files, PhiTakesWhiteSpaceAfterASpecialTokenWithIt) {
    const auto phi = load_fixture("phi-3");
    const std::vector<Id> hello = phi->encode("Hello", kPlain);
    const std::vector<Id> ids = phi->encode("<|user|>\n Hello<|end|>\n", kSpecial);
    ASSERT_EQ(ids.size(), hello.size() + 2);
    EXPECT_EQ(phi->entry(ids.front()), "<|user|>");
    EXPECT_EQ(std::vector<Id>(ids.begin() + 1, ids.end() - 1), hello);
    EXPECT_EQ(phi->entry(ids.back()), "<|end|>");
    // The three exceptions of its tokenizer keep it.
    EXPECT_GT(phi->encode("<|endoftext|>\n", kSpecial).size(), 1U);
}

TEST(Files, BertAddsItsFrame) {
    const auto bert = load_fixture("bert-bge");
    const std::vector<Id> ids = bert->encode("Hello world", {});
    EXPECT_EQ(ids, (std::vector<Id>{101, 7592, 2088, 102}));
    EXPECT_EQ(bert->decode(ids, false), "hello world");
}

TEST(Nano, Vectors) {
    const auto nano = load_nano();
    ASSERT_TRUE(nano);
    const auto vectors = json::parse(read(kSource / "models/trilane-nano/tokenizer_vectors.json"));
    ASSERT_TRUE(vectors) << vectors.error().message;
    ASSERT_GE(vectors->size(), 5U);
    for (const json::Value& vector : *vectors) {
        const auto text = vector.at("text").get<std::string>();
        EXPECT_EQ(nano->encode(text, kSpecial), ids_of(vector.at("ids"))) << text;
        EXPECT_EQ(nano->decode(ids_of(vector.at("ids")), true), text);
    }
}

TEST(Nano, PromptsOfTheGoldenFile) {
    const auto nano = load_nano();
    ASSERT_TRUE(nano);
    const auto golden = json::parse(read(kSource / "models/trilane-nano/golden.json"));
    ASSERT_TRUE(golden) << golden.error().message;
    ASSERT_GE(golden->size(), 5U);
    for (const json::Value& prompt : *golden) {
        const auto text = prompt.at("prompt").get<std::string>();
        EXPECT_EQ(nano->encode(text, {.add_special = true, .parse_special = true}),
                  ids_of(prompt.at("ids")))
            << text;
        EXPECT_EQ(nano->decode(ids_of(prompt.at("greedy_ids")), true),
                  prompt.at("greedy_text").get<std::string>());
    }
}

TEST(Nano, SpecialTokens) {
    const auto nano = load_nano();
    ASSERT_TRUE(nano);
    EXPECT_EQ(nano->description(), "byte-level BPE (llama-bpe)");
    EXPECT_EQ(nano->size(), 8192U);
    EXPECT_EQ(nano->bos(), 1);
    EXPECT_EQ(nano->eos(), 2);
    EXPECT_TRUE(nano->adds_bos());
    for (Id id = 0; id < 6; ++id) {
        EXPECT_TRUE(nano->is_control(id)) << id;
        EXPECT_EQ(nano->is_end(id), id == 2) << id;
        EXPECT_EQ(nano->bytes_of(id, false), "") << id;
        EXPECT_EQ(nano->bytes_of(id, true), nano->entry(id)) << id;
    }
    EXPECT_FALSE(nano->is_control(6));
    // Without parse_special the name of a token in a text is letters, never the token.
    for (const Id id : nano->encode("<|end|>", kPlain)) {
        EXPECT_GE(id, 6);
    }
}

TEST(Nano, EmojiStreamsWhole) {
    const auto nano = load_nano();
    ASSERT_TRUE(nano);
    const std::vector<Id> ids = nano->encode("\U0001F642", kPlain);
    ASSERT_GT(ids.size(), 1U);  // no entry of its own: only pieces
    StreamDecoder stream(nano);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        EXPECT_EQ(stream.push(ids[i]), "") << i;
    }
    EXPECT_EQ(stream.push(ids.back()), "\U0001F642");
    EXPECT_EQ(stream.flush(), "");
}

TEST(Stories260K, OnceUponATime) {
    const auto stories = load(kSource / "tests/fixtures/stories260K/stories260K-f32.gguf");
    ASSERT_TRUE(stories);
    EXPECT_EQ(stories->encode("Once upon a time", {}), (std::vector<Id>{1, 403, 407, 261, 378}));
    EXPECT_EQ(stories->decode(std::vector<Id>{1, 403, 407, 261, 378}, false), "Once upon a time");
}

TEST(Stories260K, TheWholeExpectedTextComesBack) {
    const auto stories = load(kSource / "tests/fixtures/stories260K/stories260K-f32.gguf");
    ASSERT_TRUE(stories);
    const std::string text = read(kSource / "tests/fixtures/stories260K/expected_greedy_200.txt");
    EXPECT_EQ(stories->decode(stories->encode(text, kPlain), false), text);
}

}  // namespace
}  // namespace trilane::token
