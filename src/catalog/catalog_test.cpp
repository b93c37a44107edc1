#include "catalog/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/local_hub_test.h"

namespace trilane::catalog {
namespace {

using ::testing::HasSubstr;

Entry entry(std::string id, Store store = Store::gguf) {
    Entry made;
    made.path = "/nowhere/" + id;
    made.id = std::move(id);
    made.store = store;
    return made;
}

const std::vector<Entry> kEntries{entry("Qwen3-4B-Q4_K_M"), entry("Qwen3-8B-Q4_K_M"),
                                  entry("trilane-nano"),    entry("qwen3:4b", Store::flm),
                                  entry("gemma"),           entry("gemma-large")};

std::string find(std::string_view name) {
    const auto found = find_entry(name, kEntries);
    return found ? found->id : found.error().message;
}

TEST(FindEntry, ByIdByBeginningAndByStore) {
    EXPECT_EQ(find("Qwen3-4B-Q4_K_M"), "Qwen3-4B-Q4_K_M");
    EXPECT_EQ(find("qwen3-4b-q4_k_m"), "Qwen3-4B-Q4_K_M");
    EXPECT_EQ(find("Qwen3-8"), "Qwen3-8B-Q4_K_M");
    EXPECT_EQ(find("bundled"), "trilane-nano");
    EXPECT_EQ(find("qwen3:4b"), "qwen3:4b");
    EXPECT_EQ(find("flm:qwen3:4b"), "qwen3:4b");
    EXPECT_EQ(find("gemma"), "gemma");
}

TEST(FindEntry, SaysWhatItMayHaveMeant) {
    EXPECT_THAT(find("Qwen3-"), HasSubstr("begins the names of 2 models"));
    EXPECT_THAT(find("Qwen-4B-Q4_K_M"), HasSubstr("the nearest are: Qwen3-4B-Q4_K_M"));
    EXPECT_THAT(find("large"), HasSubstr("the nearest are: gemma-large"));
    EXPECT_THAT(find("flm:gemma"), HasSubstr("no model"));
    EXPECT_THAT(find(""), HasSubstr("no model"));
    EXPECT_THAT(find_entry("x", {}).error().message, HasSubstr("trilane pull"));
    EXPECT_EQ(find_entry("x", {}).error().fault, Fault::not_found);
}

TEST(FindEntry, AFileAnywhereIsAnEntryToo) {
    const TempFolder folder;
    const std::string path = folder.write("some-Q8_0.gguf", gguf_bytes(10));
    const auto found = find_entry(path, kEntries);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->id, "some-Q8_0");
    Entry known = entry("known");
    known.path = path;
    EXPECT_EQ(find_entry(path, std::vector<Entry>{known})->id, "known");
    EXPECT_EQ(find_entry(folder.write("bad.gguf", "x"), kEntries).error().fault, Fault::corrupt);
}

TEST(Names, AreStable) {
    EXPECT_EQ(purpose_name(Purpose::transcribe), "transcribe");
    EXPECT_EQ(purpose_name(Purpose::unknown), "unknown");
    EXPECT_EQ(store_name(Store::flm), "flm");
}

}  // namespace
}  // namespace trilane::catalog
