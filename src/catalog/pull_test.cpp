// Pull against a hub on this machine: what is fetched, where it lies, and what the hub is told.
#include "catalog/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "catalog/hub.h"
#include "catalog/local_hub_test.h"
#include "catalog/manifest.h"
#include "catalog/staging.h"

namespace trilane::catalog {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Pull : public ::testing::Test {
protected:
    Result<Entry> pull_one(const std::string& text = kRepository) {
        TRILANE_TRY(const Reference reference, parse_reference(text));
        TRILANE_TRY(const auto variants, list_variants(hub_.options(), reference));
        TRILANE_TRY(const Variant variant, choose_variant(variants, reference, {}));
        return pull(hub_.options(), reference, variant, options_);
    }

    LocalHub hub_;
    TempFolder folder_;
    PullOptions options_ = [this] {
        PullOptions options;
        options.directory = folder_.path();
        options.spare_bytes = 0;
        return options;
    }();
};

TEST_F(Pull, PutsAModelInPlaceWithItsManifest) {
    const std::string bytes = gguf_bytes(1000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    const auto entry = pull_one();
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(entry->id, "Tiny-Q8_0");
    EXPECT_EQ(entry->path, folder_.file("Tiny-Q8_0/tiny-Q8_0.gguf"));
    EXPECT_EQ(entry->quantization, "Q8_0");
    EXPECT_EQ(entry->purpose, Purpose::chat);
    EXPECT_EQ(entry->context_tokens, 4096U);
    EXPECT_EQ(entry->repository, "owner/Tiny-GGUF@0123456789abcdef0123456789abcdef01234567");
    EXPECT_GT(entry->added_unix_s, 0);
    EXPECT_EQ(file_text(entry->path), bytes);
    EXPECT_THAT(folder_.files(),
                ElementsAre("Tiny-Q8_0/manifest.json", "Tiny-Q8_0/tiny-Q8_0.gguf"));
    const auto manifest = read_manifest(folder_.file("Tiny-Q8_0"));
    ASSERT_TRUE(manifest.has_value());
    ASSERT_EQ(manifest->files.size(), 1U);
    EXPECT_EQ(manifest->files[0].sha256, sha256_hex(bytes));
    EXPECT_EQ(manifest->revision, "main");
}

TEST_F(Pull, TheTokenGoesToTheHubAndNotToItsCdn) {
    hub_.token = "hf_secret";
    hub_.redirects = true;
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(200'000));
    const auto entry = pull_one();
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    std::size_t at_cdn = 0;
    for (const SeenRequest& request : hub_.seen()) {
        at_cdn += request.at_cdn ? 1 : 0;
        EXPECT_EQ(request.authorization, request.at_cdn ? "" : "Bearer hf_secret")
            << request.target;
    }
    EXPECT_GE(at_cdn, 3U);
}

TEST_F(Pull, ReadsEveryPageOfTheListing) {
    hub_.page_files = 2;
    for (const char* type : {"F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"}) {
        hub_.put(kRepository, fmt::format("tiny-{}.gguf", type), gguf_bytes(100));
    }
    const auto variants = list_variants(hub_.options(), *parse_reference(kRepository));
    ASSERT_TRUE(variants.has_value()) << variants.error().message;
    std::vector<std::string> names;
    for (const Variant& variant : *variants) {
        names.push_back(variant.name);
    }
    EXPECT_THAT(names, ElementsAre("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"));
    EXPECT_EQ(hub_.seen().size(), 3U);
}

TEST_F(Pull, TheTokenDoesNotFollowAPageToAnotherHost) {
    hub_.token = "hf_secret";
    LocalHub other;
    other.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(100));
    net::Response page;
    hub_.put_listing(kRepository, "[]");
    hub_.fail_next_listing({{.status = 307,
                             .headers = {{"Location", other.endpoint() + "/api/models/" +
                                                          kRepository + "/tree/main"}}}});
    const auto variants = list_variants(hub_.options(), *parse_reference(kRepository));
    ASSERT_TRUE(variants.has_value()) << variants.error().message;
    ASSERT_EQ(other.seen().size(), 1U);
    EXPECT_EQ(other.seen()[0].authorization, "");
}

TEST_F(Pull, FetchesPiecesInParallelAndEachByteOnce) {
    const std::string bytes = gguf_bytes(1'000'000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    const auto entry = pull_one();
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(file_text(entry->path), bytes);
    std::uint64_t asked = 0;
    for (const SeenRequest& request : hub_.seen()) {
        unsigned long long first = 0;
        unsigned long long last = 0;
        if (std::sscanf(request.range.c_str(), "bytes=%llu-%llu", &first, &last) == 2) {
            asked += last - first + 1;
        }
    }
    EXPECT_EQ(asked, bytes.size());
    EXPECT_EQ(hub_.file_requests(), (bytes.size() + 65'535) / 65'536);
}

TEST_F(Pull, AServerWithoutRangesIsReadInOneStream) {
    hub_.ranges = false;
    const std::string bytes = gguf_bytes(500'000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    const auto entry = pull_one();
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(file_text(entry->path), bytes);
}

TEST_F(Pull, ShardsAndProjectorLieTogether) {
    hub_.put(kRepository, "Q4_K_M/big-Q4_K_M-00001-of-00002.gguf", gguf_bytes(1000, 1));
    hub_.put(kRepository, "Q4_K_M/big-Q4_K_M-00002-of-00002.gguf", gguf_bytes(3000, 2));
    hub_.put(kRepository, "mmproj-F16.gguf", gguf_bytes(500, 3, "clip"));
    hub_.put(kRepository, "mmproj-F32.gguf", gguf_bytes(900, 4, "clip"));
    const auto entry = pull_one();
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(entry->id, "Tiny-Q4_K_M");
    EXPECT_THAT(entry->more_paths,
                ElementsAre(folder_.file("Tiny-Q4_K_M/big-Q4_K_M-00002-of-00002.gguf")));
    EXPECT_EQ(entry->projector_path, folder_.file("Tiny-Q4_K_M/mmproj-F16.gguf"));
    EXPECT_EQ(entry->parameters, 1000U);
}

TEST_F(Pull, AWhisperModelIsNoGgufAndWelcome) {
    std::string bytes("lmgg", 4);
    const std::array<std::uint32_t, 11> sizes{51'866, 1500, 1280, 20, 32, 448, 1280, 20, 4, 128, 8};
    bytes.append(reinterpret_cast<const char*>(sizes.data()), sizeof sizes);
    bytes.append(5000, 'w');
    hub_.put("ggerganov/whisper.cpp", "ggml-large-v3-turbo-q5_0.bin", bytes);
    hub_.put("ggerganov/whisper.cpp", "ggml-tiny.bin", bytes + "x");
    const auto entry = pull_one("ggerganov/whisper.cpp:ggml-large-v3-turbo-q5_0.bin");
    ASSERT_TRUE(entry.has_value()) << entry.error().message;
    EXPECT_EQ(entry->purpose, Purpose::transcribe);
    EXPECT_EQ(entry->architecture, "whisper");
    EXPECT_EQ(entry->context_tokens, 448U);
}

TEST_F(Pull, WhatIsThereAlreadyIsNotFetchedAgain) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(1000));
    ASSERT_TRUE(pull_one().has_value());
    hub_.forget_seen();
    const auto again = pull_one();
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->id, "Tiny-Q8_0");
    EXPECT_EQ(hub_.file_requests(), 0U);

    options_.force = true;
    ASSERT_TRUE(pull_one().has_value());
    EXPECT_EQ(hub_.file_requests(), 1U);
}

TEST_F(Pull, AnotherModelOfThatNameIsReplacedOnlyByForce) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(1000, 1));
    ASSERT_TRUE(pull_one().has_value());
    const std::string newer = gguf_bytes(1000, 2);
    hub_.put(kRepository, "tiny-Q8_0.gguf", newer);
    const auto refused = pull_one();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().fault, Fault::invalid);
    EXPECT_THAT(refused.error().message, HasSubstr("--force"));

    options_.force = true;
    const auto replaced = pull_one();
    ASSERT_TRUE(replaced.has_value()) << replaced.error().message;
    EXPECT_EQ(file_text(replaced->path), newer);
    EXPECT_THAT(folder_.files(),
                ElementsAre("Tiny-Q8_0/manifest.json", "Tiny-Q8_0/tiny-Q8_0.gguf"));
}

TEST_F(Pull, ALooseFileOfThatNameIsInTheWay) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(1000));
    folder_.write("Tiny-Q8_0.gguf", gguf_bytes(10));
    EXPECT_EQ(pull_one().error().fault, Fault::invalid);
    options_.id = "other";
    EXPECT_EQ(pull_one()->id, "other");
}

TEST_F(Pull, ASecondPullOfTheSameModelIsToldSo) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(1000));
    const auto first = Staging::open(folder_.path(), "Tiny-Q8_0");
    ASSERT_TRUE(first.has_value());
    const auto second = pull_one();
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().fault, Fault::unavailable);
    EXPECT_THAT(second.error().message, HasSubstr("another process is pulling Tiny-Q8_0"));
}

TEST_F(Pull, TellsHowFarItIs) {
    const std::string bytes = gguf_bytes(300'000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    std::vector<Progress> told;
    options_.on_progress = [&](const Progress& progress) { told.push_back(progress); };
    ASSERT_TRUE(pull_one().has_value());
    ASSERT_FALSE(told.empty());
    std::vector<std::string> phases;
    for (const Progress& progress : told) {
        phases.push_back(progress.phase);
        EXPECT_EQ(progress.total_bytes, bytes.size());
        EXPECT_LE(progress.done_bytes, bytes.size());
        EXPECT_EQ(progress.file, "tiny-Q8_0.gguf");
    }
    EXPECT_THAT(phases, ::testing::Contains("checking"));
    EXPECT_EQ(phases.front(), "downloading");
}

TEST_F(Pull, AHubThatIsNotAtTheRootIsFoundToo) {
    Hub hub = hub_.options();
    hub.endpoint = "https://mirror.example/hf/";
    EXPECT_EQ(tree_url(hub, *parse_reference("o/n@refs/pr/1")),
              "https://mirror.example/hf/api/models/o/n/tree/refs%2Fpr%2F1?recursive=true");
    EXPECT_EQ(file_url(hub, *parse_reference("o/n"), "a b/c#d.gguf"),
              "https://mirror.example/hf/o/n/resolve/main/a%20b/c%23d.gguf");
}

TEST(HubOptions, PausesGrowAndEndAndObeyTheHub) {
    Hub hub;
    hub.first_pause = std::chrono::milliseconds(500);
    EXPECT_EQ(pause_before_retry(hub, 1, {}).count(), 500);
    EXPECT_EQ(pause_before_retry(hub, 3, {}).count(), 2000);
    EXPECT_EQ(pause_before_retry(hub, 60, {}), kPauseMax);
    WebHead head;
    head.retry_after = std::chrono::seconds(7);
    EXPECT_EQ(pause_before_retry(hub, 1, head).count(), 7000);
}

TEST(HubOptions, BadOnesAreRefusedBeforeAnythingIsSent) {
    Hub hub;
    EXPECT_TRUE(check_hub(hub).has_value());
    hub.token = "hf_secret\n";
    const Status refused = check_hub(hub);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("HF_TOKEN"));
    EXPECT_THAT(refused.error().message, Not(HasSubstr("hf_secret")));
    hub = Hub{};
    for (const char* endpoint : {"", "file:///etc", "ftp://host", "huggingface"}) {
        hub.endpoint = endpoint;
        EXPECT_FALSE(check_hub(hub).has_value()) << endpoint;
    }
}

TEST(HubOptions, APasswordInTheAddressIsNotShown) {
    EXPECT_EQ(shown_url("https://me:secret@mirror.example/hf?key=secret#secret"),
              "https://mirror.example/hf");
    EXPECT_EQ(origin_of("https://Mirror.example/x"), "https://mirror.example:443");
    EXPECT_EQ(origin_of("http://mirror.example:80"), origin_of("http://mirror.example/a"));
    EXPECT_EQ(origin_of("not an address"), "");
}

}  // namespace
}  // namespace trilane::catalog
