// The file of observed loads: what is written is read, and what is not ours is refused.
#include "app/observed_loads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace trilane::app {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ObservedLoads : public ::testing::Test {
protected:
    ObservedLoads() {
        std::string name = (fs::temp_directory_path() / "trilane-observed-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
    }
    ~ObservedLoads() override { fs::remove_all(folder_); }
    [[nodiscard]] std::string path() const {
        return observed_loads_path(folder_ + "/state/trilane");
    }
    void write(std::string_view text) const {
        fs::create_directories(fs::path(path()).parent_path());
        std::ofstream(path()) << text;
    }
    std::string folder_;
};

plan::Observation observation(std::string model) {
    plan::Observation one;
    one.load = {.model = std::move(model),
                .weight_bytes = 4'000'000'000,
                .lane = "llama-server",
                .device = "gpu0",
                .kv = plan::KvType::q8_0,
                .context_tokens = 8192,
                .parallel = 4};
    one.predicted_bytes = 5'000'000'000;
    one.filling_bytes = 7;
    one.observed_bytes = 5'400'000'000;
    one.before_bytes = 5'300'000'000;
    one.answers = 12;
    one.unix_s = 1'700'000'000;
    return one;
}

TEST_F(ObservedLoads, WhatIsWrittenIsRead) {
    const std::vector<plan::Observation> loads{observation("a \"b\""), observation("c")};
    ASSERT_TRUE(write_observed_loads(path(), loads)) << "makes its directory";
    ASSERT_TRUE(write_observed_loads(path(), loads)) << "and takes the old one's place";
    const auto read = read_observed_loads(path());
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        const plan::Observation& one = (*read)[i];
        EXPECT_EQ(one.load, loads[i].load);
        EXPECT_EQ(one.predicted_bytes, loads[i].predicted_bytes);
        EXPECT_EQ(one.filling_bytes, loads[i].filling_bytes);
        EXPECT_EQ(one.observed_bytes, loads[i].observed_bytes);
        EXPECT_EQ(one.before_bytes, loads[i].before_bytes);
        EXPECT_EQ(one.answers, loads[i].answers);
        EXPECT_EQ(one.unix_s, loads[i].unix_s);
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(fs::path(path()).parent_path()), {}), 1)
        << "nothing is left beside it";
}

TEST_F(ObservedLoads, NoFileIsNothingKnown) {
    const auto none = read_observed_loads(path());
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
    EXPECT_TRUE(read_observed_loads(observed_loads_path(""))->empty());
}

TEST_F(ObservedLoads, WhatIsBrokenIsSaidAndIgnored) {
    for (const std::string_view text :
         {"", "{", "[]", R"({"format": 2, "loads": []})", R"({"format": 1, "loads": {}})",
          R"({"format": 1, "loads": [1]})", R"({"format": 1, "loads": [{"model": "a"}]})"}) {
        write(text);
        const auto read = read_observed_loads(path());
        ASSERT_FALSE(read) << text;
        EXPECT_THAT(read.error().message, HasSubstr("observed-loads.json cannot be read"));
    }
}

TEST_F(ObservedLoads, HoldsNoMoreThanIsRemembered) {
    const std::vector<plan::Observation> many(plan::kObservationsMax + 5, observation("a"));
    const auto read = parse_observed_loads(observed_loads_text(many));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size(), plan::kObservationsMax);
    EXPECT_LT(observed_loads_text(many).size(), kObservedLoadsBytesMax);
}

TEST_F(ObservedLoads, APlaceThatCannotBeWrittenIsSaid) {
    write("x");
    const Status status = write_observed_loads(path() + "/under", {});
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message, HasSubstr("cannot write"));
}

}  // namespace
}  // namespace trilane::app
