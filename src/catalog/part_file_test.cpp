#include "catalog/part_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "catalog/local_hub_test.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

class Parts : public ::testing::Test {
protected:
    PartFile open(std::uint64_t bytes = 100, std::string_view identity = "one") {
        auto part = PartFile::open(path_, bytes, identity);
        EXPECT_TRUE(part.has_value());
        return std::move(*part);
    }
    TempFolder folder_;
    const std::string path_ = folder_.file("m.gguf");
};

TEST_F(Parts, WhatIsNotedIsThereForTheNextProcess) {
    {
        PartFile part = open();
        ASSERT_TRUE(part.note_etag("tag").has_value());
        ASSERT_TRUE(part.write(20, bytes_of("hello")).has_value());
        ASSERT_TRUE(part.note_done({20, 25}).has_value());
        ASSERT_TRUE(part.write(40, bytes_of("lost")).has_value());
    }
    const PartFile again = open();
    EXPECT_EQ(again.etag(), "tag");
    EXPECT_EQ(again.done().bytes(), 5U);
    EXPECT_FALSE(again.complete());
    EXPECT_EQ(file_text(again.part_path()).substr(20, 5), "hello");
    EXPECT_EQ(fs::file_size(again.part_path()), 100U);
}

TEST_F(Parts, OtherBytesBeginAnew) {
    const auto note_some = [&] {
        PartFile part = open();
        ASSERT_TRUE(part.note_done({0, 10}).has_value());
    };
    note_some();
    EXPECT_EQ(open(100, "two").done().bytes(), 0U);
    note_some();
    EXPECT_EQ(open(101).done().bytes(), 0U);
    note_some();
    fs::resize_file(path_ + ".part", 50);
    EXPECT_EQ(open().done().bytes(), 0U);
    note_some();
    std::ofstream(path_ + ".journal", std::ios::app) << "done 5 1000\n";
    EXPECT_EQ(open().done().bytes(), 0U);
    note_some();
    std::ofstream(path_ + ".journal", std::ios::app) << "nonsense\n";
    EXPECT_EQ(open().done().bytes(), 0U);
}

TEST_F(Parts, ATornLineIsForgottenAndSpoilsNothing) {
    {
        PartFile part = open();
        ASSERT_TRUE(part.note_done({0, 10}).has_value());
    }
    std::ofstream(path_ + ".journal", std::ios::app) << "done 10 2";
    {
        PartFile part = open();
        EXPECT_EQ(part.done().bytes(), 10U);
        ASSERT_TRUE(part.note_done({50, 60}).has_value());
    }
    EXPECT_EQ(open().done().bytes(), 20U);
}

TEST_F(Parts, FinishedItHasItsNameAndNoJournal) {
    PartFile part = open(5);
    ASSERT_TRUE(part.write(0, bytes_of("hello")).has_value());
    ASSERT_TRUE(part.note_done({0, 5}).has_value());
    EXPECT_TRUE(part.complete());
    ASSERT_TRUE(PartFile::finish(std::move(part), path_).has_value());
    EXPECT_THAT(folder_.files(), ::testing::ElementsAre("m.gguf"));
    EXPECT_EQ(file_text(path_), "hello");
}

TEST_F(Parts, DiscardedNothingIsLeft) {
    { const PartFile part = open(); }
    PartFile::discard(path_);
    EXPECT_THAT(folder_.files(), ::testing::IsEmpty());
}

TEST_F(Parts, AFolderThatIsNotThereIsAnError) {
    const auto part = PartFile::open(folder_.file("none/m.gguf"), 5, "one");
    ASSERT_FALSE(part.has_value());
    EXPECT_EQ(part.error().fault, Fault::unavailable);
}

TEST(Sha256, KnownAnswersAndCancel) {
    const TempFolder folder;
    const CancelToken cancel;
    std::uint64_t read = 0;
    const auto count = [&](std::uint64_t bytes) { read += bytes; };
    // FIPS 180-2, appendix B.1.
    EXPECT_EQ(sha256_of(folder.write("abc", "abc"), cancel, count).value_or(""),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const std::string large(3'000'000, 'x');
    EXPECT_EQ(sha256_of(folder.write("large", large), cancel, count).value_or(""),
              sha256_hex(large));
    EXPECT_EQ(read, 3'000'003U);
    cancel.cancel();
    EXPECT_EQ(sha256_of(folder.file("abc"), cancel, count).error().fault, Fault::cancelled);
    EXPECT_EQ(sha256_of(folder.file("none"), {}, count).error().fault, Fault::unavailable);
}

TEST(DiskErrors, SayWhatToDo) {
    EXPECT_EQ(disk_error(ENOSPC, "x", "write").fault, Fault::exhausted);
    EXPECT_EQ(disk_error(EDQUOT, "x", "write").fault, Fault::exhausted);
    EXPECT_EQ(disk_error(EACCES, "x", "write").fault, Fault::unavailable);
    EXPECT_THAT(disk_error(ENOSPC, "/a/b", "write").message,
                ::testing::HasSubstr("cannot write /a/b: No space left"));
    EXPECT_THAT(disk_error(ENOSPC, "/a/names.json", "write").message,
                ::testing::Not(::testing::HasSubstr("arrived")))
        << "nothing is on its way to a small file";
}

}  // namespace
}  // namespace trilane::catalog
