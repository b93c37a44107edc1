#include "usage/ledger.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

namespace trilane::usage {
namespace {

struct Folder {
    Folder() {
        std::string place = testing::TempDir() + "usageXXXXXX";
        path = ::mkdtemp(place.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file() const { return path + "/deep/usage.db"; }
    std::string path;
};

Sums one(std::uint64_t completion) {
    Sums sums;
    sums.requests = 1;
    sums.prompt_tokens = 10;
    sums.completion_tokens = completion;
    sums.predicted_ms = 2.5;
    return sums;
}

TEST(Ledger, SumsByWhatIsAsked) {
    const Folder folder;
    const std::int64_t now = std::time(nullptr);
    {
        auto ledger = Ledger::open({.path = folder.file(), .log = {}});
        ASSERT_TRUE(ledger) << ledger.error().message;
        (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(5), now);
        (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(6), now);
        (*ledger)->note({"bob", "big", "gpu", "chat"}, one(100), now);
        ASSERT_TRUE((*ledger)->flush());
        (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(7), now);
    }  // the end writes what is left
    const auto by_model = read_usage(folder.file(), 0, {By::model});
    ASSERT_TRUE(by_model) << by_model.error().message;
    ASSERT_EQ(by_model->size(), 2U);
    EXPECT_EQ((*by_model)[0].group, std::vector<std::string>{"big"});
    EXPECT_EQ((*by_model)[1].sums.requests, 3U);
    EXPECT_EQ((*by_model)[1].sums.completion_tokens, 18U);
    EXPECT_EQ((*by_model)[1].sums.prompt_tokens, 30U);
    EXPECT_DOUBLE_EQ((*by_model)[1].sums.predicted_ms, 7.5);
    const auto both = read_usage(folder.file(), 0, {By::key, By::lane});
    ASSERT_TRUE(both);
    EXPECT_EQ((*both)[0].group, (std::vector<std::string>{"bob", "gpu"}));
    const auto all = read_usage(folder.file(), 0, {});
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 1U);
    EXPECT_EQ((*all)[0].sums.requests, 4U);
    const auto future = read_usage(folder.file(), now + 86'400, {});
    ASSERT_TRUE(future);
    EXPECT_TRUE(future->empty());
}

TEST(Ledger, AFileThatSomebodyHoldsDoesNotHoldUpTheEnd) {
    const Folder folder;
    auto ledger = Ledger::open({.path = folder.file(), .log = {}});
    ASSERT_TRUE(ledger);
    ASSERT_TRUE((*ledger)->flush());
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(folder.file().c_str(), &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 20'000);  // the ledger forgets what is old at its start
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(5), std::time(nullptr));
    const auto began = std::chrono::steady_clock::now();
    ledger->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1'500));
    sqlite3_close(other);
}

TEST(Ledger, ForgetsWhatIsOld) {
    const Folder folder;
    const std::int64_t now = std::time(nullptr);
    {
        auto ledger = Ledger::open({.path = folder.file(), .log = {}});
        ASSERT_TRUE(ledger);
        (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(5), now - 500 * 86'400);
        (*ledger)->note({"ann", "tiny", "cpu", "chat"}, one(5), now);
    }
    { ASSERT_TRUE(Ledger::open({.path = folder.file(), .days_kept = 400, .log = {}})); }
    const auto left = read_usage(folder.file(), 0, {});
    ASSERT_TRUE(left);
    EXPECT_EQ((*left)[0].sums.requests, 1U);
}

TEST(Ledger, TellsOfForeignFiles) {
    const Folder folder;
    std::filesystem::create_directories(folder.path + "/deep");
    EXPECT_EQ(read_usage(folder.file(), 0, {}).error().fault, Fault::not_found);
    std::ofstream(folder.file()) << std::string(4096, 'x');
    const auto opened = Ledger::open({.path = folder.file(), .log = {}});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().fault, Fault::corrupt);
}

TEST(Ledger, LosesNothingBetweenThreads) {
    const Folder folder;
    {
        auto ledger = Ledger::open(
            {.path = folder.file(), .write_interval = std::chrono::milliseconds(1), .log = {}});
        ASSERT_TRUE(ledger);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&ledger, t] {
                for (int i = 0; i < 500; ++i) {
                    (*ledger)->note({"k" + std::to_string(t), "m", "l", "chat"}, one(1),
                                    std::time(nullptr));
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
    const auto all = read_usage(folder.file(), 0, {});
    ASSERT_TRUE(all);
    EXPECT_EQ((*all)[0].sums.requests, 2000U);
}

}  // namespace
}  // namespace trilane::usage
