// Pull when things go wrong: the network, the hub, the disk, the process itself.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "catalog/hub.h"
#include "catalog/local_hub_test.h"
#include "catalog/pull.h"

extern char** environ;

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kChildVariable = "TRILANE_TEST_PULL_CHILD";

Result<Entry> pull_from(const Hub& hub, const PullOptions& options) {
    TRILANE_TRY(const Reference reference, parse_reference(kRepository));
    TRILANE_TRY(const auto variants, list_variants(hub, reference));
    TRILANE_TRY(const Variant variant, choose_variant(variants, reference, {}));
    return pull(hub, reference, variant, options);
}

PullOptions into(const std::string& directory) {
    PullOptions options;
    options.directory = directory;
    options.spare_bytes = 0;
    return options;
}

class PullFaults : public ::testing::Test {
protected:
    void SetUp() override {
        hub_.put(kRepository, "tiny-Q8_0.gguf", bytes_);
        hub_options_ = hub_.options();
    }
    Result<Entry> pull_one() { return pull_from(hub_options_, options_); }
    void expect_pulled(const Result<Entry>& entry) {
        ASSERT_TRUE(entry.has_value()) << entry.error().message;
        EXPECT_EQ(file_text(entry->path), bytes_);
    }

    /// Answers of so many bytes each break off once the client has them.
    void break_off_after(const std::vector<std::size_t>& arrived,
                         const std::vector<std::size_t>& sent) {
        std::vector<HubFault> faults;
        for (const std::size_t bytes : sent) {
            faults.push_back({.bytes = bytes, .hold = true});
        }
        hub_.fail_next(std::move(faults));
        options_.on_progress = [this, arrived, next = std::size_t{0}](const Progress& now) mutable {
            if (next < arrived.size() && now.done_bytes == arrived[next]) {
                hub_.let_go();
                ++next;
            }
        };
    }

    const std::string bytes_ = gguf_bytes(300'000);
    LocalHub hub_;
    TempFolder folder_;
    PullOptions options_ = into(folder_.path());
    Hub hub_options_;
};

TEST_F(PullFaults, AConnectionThatBreaksIsTakenUpWhereItBroke) {
    hub_options_.connections = 1;
    hub_options_.piece_bytes = 1U << 30U;
    break_off_after({100'000, 150'000}, {100'000, 50'000});
    expect_pulled(pull_one());
    std::vector<std::string> ranges;
    for (const SeenRequest& request : hub_.seen()) {
        if (request.target.find("/resolve/") != std::string::npos) {
            ranges.push_back(request.range);
        }
    }
    const std::size_t last = bytes_.size() - 1;
    EXPECT_THAT(ranges, ElementsAre("", fmt::format("bytes=100000-{}", last),
                                    fmt::format("bytes=150000-{}", last)));
}

TEST_F(PullFaults, AServerThatIsBusyIsAskedAgainButNotForEver) {
    hub_.fail_next_listing({{.status = 503}, {.status = 429, .headers = {{"Retry-After", "0"}}}});
    hub_.fail_next({{.status = 500}, {.status = 429, .headers = {{"Retry-After", "0"}}}});
    expect_pulled(pull_one());

    fs::remove_all(folder_.file("Tiny-Q8_0"));
    hub_.fail_next(std::vector<HubFault>(100, HubFault{.status = 502}));
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_THAT(refused.error().message, HasSubstr("502"));
    EXPECT_THAT(folder_.files(), IsEmpty());
}

TEST_F(PullFaults, AHubThatWantsUsToWaitForLongIsObeyed) {
    hub_.fail_next_listing({{.status = 429, .headers = {{"Retry-After", "3600"}}}});
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("try again in 3600 s"));
    EXPECT_EQ(hub_.seen().size(), 1U);
}

TEST_F(PullFaults, DamagedBytesAreNoticedAndDropped) {
    hub_.fail_next({{}, {.damage = true}});
    const auto damaged = pull_one();
    ASSERT_FALSE(damaged.has_value());
    EXPECT_EQ(damaged.error().fault, Fault::corrupt);
    EXPECT_THAT(damaged.error().message, HasSubstr("SHA-256"));
    EXPECT_THAT(folder_.files(), IsEmpty());
    expect_pulled(pull_one());
}

TEST_F(PullFaults, OtherBytesThanAskedForAreRefused) {
    hub_options_.attempts = 1;
    hub_.fail_next({{.shift = true}});
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::corrupt);
    EXPECT_THAT(refused.error().message, HasSubstr("other bytes"));
}

TEST_F(PullFaults, AServerThatForgetsRangesMidwayIsReadFromTheStart) {
    hub_options_.connections = 1;
    hub_.fail_next({{}, {.ignore_range = true}});
    expect_pulled(pull_one());
    EXPECT_EQ(hub_.seen().back().range, "");
}

TEST_F(PullFaults, WithoutRangesABrokenStreamBeginsAnew) {
    hub_.ranges = false;
    hub_options_.piece_bytes = 1U << 30U;
    break_off_after({100'000, 200'000}, {});
    // The second request asks for the rest, and is answered with everything.
    hub_.fail_next({{.bytes = 100'000, .hold = true}, {}, {.bytes = 200'000, .hold = true}});
    expect_pulled(pull_one());
    EXPECT_EQ(hub_.file_requests(), 4U);
}

TEST_F(PullFaults, SilenceIsAFailureToo) {
    hub_options_.silence_timeout = std::chrono::milliseconds(250);
    hub_options_.connect_timeout = std::chrono::milliseconds(5'000);
    hub_.fail_next({{.bytes = 1'000, .hold = true}});
    expect_pulled(pull_one());

    fs::remove_all(folder_.file("Tiny-Q8_0"));
    hub_options_.attempts = 2;
    hub_.fail_next(std::vector<HubFault>(20, HubFault{.bytes = 10, .hold = true}));
    const auto silent = pull_one();
    ASSERT_FALSE(silent.has_value());
    EXPECT_EQ(silent.error().fault, Fault::unavailable);
    EXPECT_THAT(silent.error().message, HasSubstr("no byte came"));
    EXPECT_THAT(silent.error().message, HasSubstr("pull again"));
}

TEST_F(PullFaults, NobodyListensThere) {
    {
        const LocalHub gone;
        hub_options_.endpoint = gone.endpoint();
    }
    hub_options_.attempts = 2;
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_THAT(refused.error().message, HasSubstr("HF_ENDPOINT"));
}

TEST_F(PullFaults, StoppedItCanGoOn) {
    hub_options_.connections = 1;
    hub_.fail_next({{}, {}, {.bytes = 10'000, .hold = true}});
    const CancelToken cancel = options_.cancel;
    std::thread user([&] {
        EXPECT_TRUE(hub_.wait_for_file_requests(3));
        cancel.cancel();
    });
    const auto stopped = pull_one();
    user.join();
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().fault, Fault::cancelled);
    EXPECT_THAT(stopped.error().message, HasSubstr("pull again"));
    EXPECT_THAT(folder_.files(), Contains(".pull-Tiny-Q8_0/tiny-Q8_0.gguf.part"));

    hub_.let_go();
    hub_.forget_seen();
    options_.cancel = CancelToken();
    expect_pulled(pull_one());
    for (const SeenRequest& request : hub_.seen()) {
        EXPECT_THAT(request.range, Not(HasSubstr("bytes=0-")));
        EXPECT_THAT(request.range, Not(HasSubstr("bytes=65536-")));
    }
}

TEST_F(PullFaults, AFileThatChangedBetweenTwoTriesIsFetchedAnew) {
    // Without a hash in the listing only the tag tells.
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(300'000, 7), false);
    hub_options_.connections = 1;
    hub_options_.attempts = 1;
    hub_.fail_next({{}, {}, {.status = 500}});
    ASSERT_FALSE(pull_one().has_value());
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes_, false);
    hub_.etag = "two";
    expect_pulled(pull_one());
}

TEST_F(PullFaults, AFileThatKeepsChangingIsGivenUp) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes_, false);
    const auto reference = parse_reference(kRepository);
    const auto variants = list_variants(hub_options_, *reference);
    ASSERT_TRUE(variants.has_value());
    // Longer than the listing says, always.
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes_ + "more", false);
    const auto refused = pull(hub_options_, *reference, variants->front(), options_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_THAT(refused.error().message, HasSubstr("keeps changing"));
}

TEST_F(PullFaults, AFileThatChangedSinceItWasListedIsNoticedAtOnce) {
    const auto reference = parse_reference(kRepository);
    const auto variants = list_variants(hub_options_, *reference);
    ASSERT_TRUE(variants.has_value());
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(300'000, 9));
    const auto refused = pull(hub_options_, *reference, variants->front(), options_);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("has changed since"));
    EXPECT_LE(hub_.file_requests(), hub_options_.connections);
}

TEST_F(PullFaults, AStaleAddressAtTheCdnIsAskedForAnew) {
    hub_.redirects = true;
    hub_.fail_next({{.status = 403}, {.status = 404}});
    expect_pulled(pull_one());
}

TEST_F(PullFaults, MachinesOfACdnMayTagTheSameBytesDifferently) {
    hub_.redirects = true;
    hub_.tells_linked_etag = false;
    hub_.etag_varies = true;
    expect_pulled(pull_one());
    EXPECT_EQ(hub_.file_requests(), (bytes_.size() + 65'535) / 65'536);
}

TEST_F(PullFaults, GatedAndPrivateRepositoriesSayWhatTheyNeed) {
    hub_.token = "hf_right";
    hub_.refusal_code = "GatedRepo";
    const auto gated = pull_one();
    ASSERT_FALSE(gated.has_value());
    EXPECT_THAT(gated.error().message, HasSubstr("accept its terms"));
    EXPECT_THAT(gated.error().message, HasSubstr("HF_TOKEN"));

    hub_.refusal_code = "";
    const auto hidden = pull_one();
    EXPECT_EQ(hidden.error().fault, Fault::not_found);
    EXPECT_THAT(hidden.error().message, HasSubstr("HF_TOKEN"));

    hub_options_.token = "hf_wrong";
    const auto wrong = pull_one();
    EXPECT_EQ(wrong.error().fault, Fault::unavailable);
    EXPECT_THAT(wrong.error().message, HasSubstr("refuses the token"));
    EXPECT_THAT(wrong.error().message, Not(HasSubstr("hf_wrong")));

    hub_.token = "";
    const auto missing = list_variants(hub_options_, *parse_reference("owner/Missing-GGUF"));
    EXPECT_EQ(missing.error().fault, Fault::not_found);
    EXPECT_THAT(missing.error().message, HasSubstr("owner/Missing-GGUF"));
}

TEST_F(PullFaults, ARepositoryWithoutGgufSaysWhatItHolds) {
    hub_.put("owner/Plain", "model-00001-of-00002.safetensors", "x");
    hub_.put("owner/Plain", "model-00002-of-00002.safetensors", "x");
    hub_.put("owner/Plain", "config.json", "x");
    const auto none = list_variants(hub_options_, *parse_reference("owner/Plain"));
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().fault, Fault::invalid);
    EXPECT_THAT(none.error().message, HasSubstr("2 safetensors, 1 json"));
}

TEST_F(PullFaults, AListingThatIsNoneIsRefused) {
    for (const char* text :
         {"", "{}", "<html>", "[1]", "[{}]", R"([{"type":"file"}])",
          R"([{"type":"file","path":"a.gguf"}])", R"([{"type":"file","path":"a.gguf","size":-1}])",
          R"([{"type":"file","path":"../a.gguf","size":1}])",
          R"([{"type":"file","path":"/etc/a.gguf","size":1}])",
          R"([{"type":"file","path":"a\\..\\b.gguf","size":1}])"}) {
        hub_.put_listing(kRepository, text);
        const auto refused = pull_one();
        ASSERT_FALSE(refused.has_value()) << text;
        EXPECT_EQ(refused.error().fault, Fault::corrupt) << refused.error().message;
    }
    EXPECT_EQ(hub_.file_requests(), 0U);
}

TEST_F(PullFaults, AFileThatIsNoGgufIsRefused) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", std::string(5'000, 'x'));
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::corrupt);
    EXPECT_THAT(folder_.files(), IsEmpty());
}

TEST_F(PullFaults, ADiskWithoutRoomIsNoticedBeforeAnythingIsFetched) {
    options_.spare_bytes = std::uint64_t{1} << 60U;
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::exhausted);
    EXPECT_THAT(refused.error().message, HasSubstr("0.00 GB more are needed"));
    EXPECT_EQ(hub_.file_requests(), 0U);
    EXPECT_THAT(folder_.files(), IsEmpty());
    EXPECT_FALSE(fs::exists(folder_.file(".pull-Tiny-Q8_0")));
}

TEST_F(PullFaults, AFolderThatCannotBeMadeIsNamed) {
    folder_.write("file", "x");
    options_.directory = folder_.file("file");
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::unavailable);
    EXPECT_THAT(refused.error().message, HasSubstr(options_.directory));
}

TEST_F(PullFaults, WhatAnotherVariantLeftBehindGoesAway) {
    options_.id = "same";
    hub_options_.connections = 1;
    hub_options_.attempts = 1;
    hub_.fail_next({{}, {.status = 500}});
    ASSERT_FALSE(pull_one().has_value());
    hub_.put(kRepository, "other-Q8_0.gguf", gguf_bytes(100'000, 3));
    const auto reference = parse_reference(kRepository + ":other-Q8_0.gguf");
    const auto variants = list_variants(hub_options_, *reference);
    const auto entry =
        pull(hub_options_, *reference, *choose_variant(*variants, *reference, {}), options_);
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_THAT(folder_.files(), ElementsAre("same/manifest.json", "same/other-Q8_0.gguf"));
}

// A pull in a process of its own: this program again, told by a variable what to do.

pid_t start_child(const std::string& endpoint, const std::string& directory,
                  std::uint64_t file_bytes_max) {
    const std::string asked =
        fmt::format("{}={}\n{}\n{}", kChildVariable, endpoint, directory, file_bytes_max);
    std::vector<char*> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        variables.push_back(*variable);
    }
    variables.push_back(const_cast<char*>(asked.c_str()));
    variables.push_back(nullptr);
    std::string program = fs::read_symlink("/proc/self/exe").string();
    std::string filter = "--gtest_filter=PullChild.DISABLED_Pulls";
    std::string disabled = "--gtest_also_run_disabled_tests";
    std::array<char*, 4> arguments{program.data(), filter.data(), disabled.data(), nullptr};
    pid_t pid = -1;
    EXPECT_EQ(
        ::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments.data(), variables.data()),
        0);
    return pid;
}

TEST(PullChild, DISABLED_Pulls) {
    const char* asked = std::getenv(kChildVariable);
    ASSERT_NE(asked, nullptr);
    std::istringstream lines(asked);
    std::string endpoint;
    std::string directory;
    rlim_t file_bytes_max = 0;
    lines >> endpoint >> directory >> file_bytes_max;
    if (file_bytes_max > 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{file_bytes_max, file_bytes_max};
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    Hub hub;
    hub.endpoint = endpoint;
    hub.connections = 1;
    hub.piece_bytes = 64U << 10U;
    const auto entry = pull_from(hub, into(directory));
    std::ofstream(directory + "/outcome") << (entry ? "ok" : entry.error().message);
}

TEST_F(PullFaults, AKilledProcessLosesNoFinishedPiece) {
    hub_.fail_next({{}, {}, {}, {.bytes = 1'000, .hold = true}});
    const pid_t child = start_child(hub_.endpoint(), folder_.path(), 0);
    // The fourth piece is asked for once the third is noted.
    const bool asked = hub_.wait_for_file_requests(4);
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(asked);
    ASSERT_TRUE(WIFSIGNALED(status));
    hub_.let_go();
    hub_.forget_seen();
    expect_pulled(pull_one());
    EXPECT_EQ(hub_.file_requests(), (bytes_.size() - 3 * 65'536 + 65'535) / 65'536);
    EXPECT_FALSE(fs::exists(folder_.file(".pull-Tiny-Q8_0")));
}

TEST_F(PullFaults, AFullDiskIsSaidAndWhatArrivedIsKept) {
    // A first try makes the file, so that the limit meets a write.
    hub_options_.connections = 1;
    hub_options_.attempts = 1;
    hub_.fail_next({{}, {.status = 500}});
    ASSERT_FALSE(pull_one().has_value());
    const pid_t child = start_child(hub_.endpoint(), folder_.path(), 200'000);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    const std::string outcome = file_text(folder_.file("outcome"));
    EXPECT_THAT(outcome, HasSubstr("cannot write"));
    EXPECT_THAT(outcome, HasSubstr("ulimit -f"));
    hub_.forget_seen();
    expect_pulled(pull_one());
    EXPECT_EQ(hub_.file_requests(), (bytes_.size() - 3 * 65'536 + 65'535) / 65'536);
}

TEST_F(PullFaults, ADiskTooSmallForTheFileIsSaidAtOnce) {
    const pid_t child = start_child(hub_.endpoint(), folder_.path(), 100'000);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_THAT(file_text(folder_.file("outcome")), HasSubstr("ulimit -f"));
    EXPECT_EQ(hub_.file_requests(), 0U);
    EXPECT_THAT(folder_.files(), ElementsAre("outcome"));
}

}  // namespace
}  // namespace trilane::catalog
