// Loading: broken off when nobody wants it any more, tried out before anybody is answered, and how
// much of it lies in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "gguf/gguf.h"
#include "model/model.h"
#include "model/tensors.h"

namespace trilane::engine {
namespace {

using ::testing::HasSubstr;

const std::string kNanoFile = TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";

Options small_options() {
    Options options;
    options.context_tokens = 256;
    options.slots = 2;
    options.threads = 1;
    return options;
}

/// The bundled model with every number of one of its tensors overwritten.
class BrokenFile {
public:
    BrokenFile(const std::string& tensor, float value)
        : path_(std::filesystem::temp_directory_path() /
                ("trilane-loading-" + std::to_string(::getpid()) + ".gguf")) {
        std::ifstream in(kNanoFile, std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const auto file = gguf::File::open(kNanoFile).value();
        const auto data = file->data(*file->find_tensor(tensor));
        const std::vector<float> numbers(data.size() / sizeof(float), value);
        std::memcpy(bytes.data() + (data.data() - file->bytes().data()), numbers.data(),
                    data.size());
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    ~BrokenFile() { std::filesystem::remove(path_); }
    BrokenFile(const BrokenFile&) = delete;
    BrokenFile& operator=(const BrokenFile&) = delete;
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

TEST(Loading, StopsAtTheNextTensorOnceNobodyWantsIt) {
    const auto file = gguf::File::open(kNanoFile).value();
    const CancelToken cancel;
    const model::Tensors tensors(*file, "llama", cancel);
    const auto* norm = file->find_tensor("output_norm.weight");
    ASSERT_TRUE(tensors.vector("output_norm.weight", norm->shape[0]).has_value());
    cancel.cancel();
    const auto next = tensors.vector("output_norm.weight", norm->shape[0]);
    ASSERT_FALSE(next.has_value());
    EXPECT_EQ(next.error().fault, Fault::cancelled);

    const auto engine = Engine::load(kNanoFile, small_options(), cancel);
    ASSERT_FALSE(engine.has_value());
    EXPECT_EQ(engine.error().fault, Fault::cancelled);
}

TEST(Loading, AModelThatComputesIsSane) {
    const auto engine = Engine::load(kNanoFile, small_options()).value();
    const Status sane = engine->check_sanity();
    EXPECT_TRUE(sane.has_value()) << sane.error().message;
    EXPECT_EQ(engine->snapshot().prompt_tokens_total, 0U) << "nobody asked for that";
    const CancelToken cancel;
    cancel.cancel();
    EXPECT_EQ(engine->check_sanity(cancel).error().fault, Fault::cancelled);
}

TEST(Loading, ANumberThatIsNoneIsFound) {
    const BrokenFile file("output_norm.weight", std::numeric_limits<float>::quiet_NaN());
    const auto engine = Engine::load(file.path(), small_options()).value();
    const Status sane = engine->check_sanity();
    ASSERT_FALSE(sane.has_value());
    EXPECT_EQ(sane.error().fault, Fault::corrupt);
    EXPECT_THAT(sane.error().message, HasSubstr("numbers that are none"));
}

TEST(Loading, AModelThatCannotDecideIsFound) {
    const BrokenFile file("output_norm.weight", 0.0F);
    const auto engine = Engine::load(file.path(), small_options()).value();
    const Status sane = engine->check_sanity();
    ASSERT_FALSE(sane.has_value());
    EXPECT_THAT(sane.error().message, HasSubstr("as likely as any other"));
}

TEST(Loading, WhatLiesInMemoryGrowsAsItIsTouched) {
    const auto engine = Engine::load(kNanoFile, small_options()).value();
    const InMemory loaded = engine->in_memory();
    EXPECT_GE(loaded.own_bytes, engine->model().resident_bytes());
    EXPECT_GT(engine->model().resident_bytes(), 0U) << "ternary weights have been packed";
    EXPECT_GT(loaded.file_bytes, 0U);
    EXPECT_LE(loaded.file_bytes, engine->file().file_bytes());

    struct Nobody final : Listener {
        explicit Nobody(std::promise<void>& ended) : ended_(ended) {}
        void on_start(std::uint32_t /*cached*/) override {}
        void on_prompt_token(std::uint32_t /*i*/, const Sampled& /*token*/) override {}
        bool on_token(const Sampled& /*token*/) override { return true; }
        void on_end(const Ending& /*ending*/) override { ended_.set_value(); }
        std::promise<void>& ended_;
    };
    std::promise<void> ended;
    Generation generation;
    generation.prompt.assign(200, 5);
    generation.max_tokens = 8;
    generation.listener = std::make_unique<Nobody>(ended);
    ASSERT_TRUE(engine->submit(std::move(generation)).has_value());
    ended.get_future().wait();
    EXPECT_GT(engine->in_memory().own_bytes, loaded.own_bytes) << "the KV cache has been written";
}

}  // namespace
}  // namespace trilane::engine
