#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "catalog/catalog.h"
#include "catalog/local_hub_test.h"
#include "catalog/model_folders.h"
#include "gguf/writer.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Local : public ::testing::Test {
protected:
    std::vector<std::string> ids() {
        std::vector<std::string> out;
        for (const Entry& entry : models_.list()) {
            out.push_back(entry.id);
        }
        return out;
    }
    Entry only() {
        models_.scan();
        const auto entries = models_.list();
        EXPECT_EQ(entries.size(), 1U);
        return entries.empty() ? Entry{} : entries.front();
    }
    TempFolder folder_;
    LocalModels models_{{folder_.path()}};
};

TEST_F(Local, FilesFoldersShardsAndProjectors) {
    folder_.write("plain-Q4_0.gguf", gguf_bytes(9));
    folder_.write("alone/weights-q8_0.gguf", gguf_bytes(9));
    folder_.write("pair/a.gguf", gguf_bytes(9));
    folder_.write("pair/b.gguf", gguf_bytes(9));
    folder_.write("seen/gemma-Q4_K_M-00001-of-00002.gguf", gguf_bytes(400));
    folder_.write("seen/gemma-Q4_K_M-00002-of-00002.gguf", gguf_bytes(800));
    folder_.write("seen/mmproj-F32.gguf", gguf_bytes(9, 1, "clip"));
    folder_.write("seen/mmproj-F16.gguf", gguf_bytes(9, 1, "clip"));
    folder_.write("mmproj-plain-F16.gguf", gguf_bytes(9, 1, "clip"));
    folder_.write(".pull-x/half.gguf", "half");
    folder_.write("notes.txt", "x");
    EXPECT_TRUE(models_.scan());
    EXPECT_FALSE(models_.scan());
    EXPECT_THAT(ids(), ElementsAre("a", "alone", "b", "plain-Q4_0", "seen"));
    EXPECT_THAT(models_.problems(), IsEmpty());
    const auto entries = models_.list();
    EXPECT_EQ(entries[1].quantization, "Q8_0");
    EXPECT_EQ(entries[1].licence, "apache-2.0");
    EXPECT_EQ(entries[3].projector_path, folder_.file("mmproj-plain-F16.gguf"));
    const Entry& seen = entries[4];
    EXPECT_EQ(seen.more_paths.size(), 1U);
    EXPECT_EQ(seen.parameters, 300U);
    EXPECT_EQ(seen.projector_path, folder_.file("seen/mmproj-F16.gguf"));
    EXPECT_EQ(seen.bytes, fs::file_size(seen.path) + fs::file_size(seen.more_paths[0]) +
                              fs::file_size(seen.projector_path));
    EXPECT_EQ(seen.repository, "");
    EXPECT_GT(seen.added_unix_s, 0);
}

TEST_F(Local, BrokenOnesAreNamedAndLeftOut) {
    folder_.write("good.gguf", gguf_bytes(9));
    folder_.write("bad.gguf", "GGUF but not for long");
    folder_.write("half-00001-of-00003.gguf", gguf_bytes(9));
    folder_.write("half-00003-of-00003.gguf", gguf_bytes(9));
    folder_.write("adapter/clip.gguf", gguf_bytes(9, 1, "clip"));
    models_.scan();
    EXPECT_THAT(ids(), ElementsAre("good"));
    ASSERT_EQ(models_.problems().size(), 3U);
    EXPECT_THAT(models_.problems()[0], HasSubstr("no model by itself"));
    EXPECT_THAT(models_.problems()[1], HasSubstr("bad.gguf"));
    EXPECT_THAT(models_.problems()[2], HasSubstr("shard 2 of 3 is missing"));
}

TEST_F(Local, AFileThatChangesIsReadAgain) {
    const std::string path = folder_.write("m.gguf", gguf_bytes(400));
    EXPECT_EQ(only().parameters, 100U);
    fs::remove(path);
    folder_.write("m.gguf", gguf_bytes(800));
    EXPECT_TRUE(models_.scan());
    EXPECT_EQ(models_.list()[0].parameters, 200U);
    fs::remove(path);
    EXPECT_TRUE(models_.scan());
    EXPECT_THAT(ids(), IsEmpty());
}

TEST_F(Local, TheFirstFolderWins) {
    const TempFolder second;
    folder_.write("m.gguf", gguf_bytes(9));
    second.write("m.gguf", gguf_bytes(9));
    second.write("n.gguf", gguf_bytes(9));
    LocalModels both({folder_.path(), second.path(), folder_.file("missing")});
    both.scan();
    ASSERT_EQ(both.list().size(), 2U);
    EXPECT_EQ(both.list()[0].path, folder_.file("m.gguf"));
}

TEST_F(Local, MetadataSaysWhatAModelIsFor) {
    const auto purpose = [&](const std::string& name, const std::string& architecture,
                             std::optional<std::uint32_t> pooling) {
        gguf::Writer writer;
        writer.add("general.architecture", architecture);
        if (pooling) {
            writer.add(architecture + ".pooling_type", *pooling);
        }
        const std::array<std::uint64_t, 1> shape{32};
        writer.add_tensor("w", shape, std::span<const float>(std::vector<float>(32)));
        const std::string path = folder_.file(name + ".gguf");
        EXPECT_TRUE(writer.write(path).has_value());
        const Purpose found = only().purpose;
        fs::remove(path);
        return found;
    };
    EXPECT_EQ(purpose("a", "llama", std::nullopt), Purpose::chat);
    EXPECT_EQ(purpose("a", "nomic-bert", 1), Purpose::embed);
    EXPECT_EQ(purpose("a", "bert", 4), Purpose::rerank);
    EXPECT_EQ(purpose("bge-reranker-v2", "bert", std::nullopt), Purpose::rerank);
    EXPECT_EQ(purpose("a", "qwen3", 3), Purpose::embed);
    EXPECT_EQ(purpose("e5-mistral-7b", "llama", std::nullopt), Purpose::embed);
    EXPECT_EQ(purpose("a", "flux", std::nullopt), Purpose::image);
    EXPECT_EQ(purpose("a", "whisper", std::nullopt), Purpose::transcribe);
    EXPECT_EQ(purpose("orpheus-3b", "llama", std::nullopt), Purpose::speak);
}

TEST_F(Local, WithoutAWordInItsNameTheTensorsTellTheQuantization) {
    folder_.write("model.gguf", gguf_bytes(4000));
    EXPECT_EQ(only().quantization, "F32");
}

TEST_F(Local, AnIncompletePullIsSaidSo) {
    folder_.write("m/manifest.json",
                  R"({"format":1,"repository":"o/n","revision":"main","files":[
                     {"name":"a.gguf","role":"model"},{"name":"b.gguf","role":"model"}]})");
    folder_.write("m/a.gguf", gguf_bytes(9));
    models_.scan();
    EXPECT_THAT(ids(), IsEmpty());
    ASSERT_EQ(models_.problems().size(), 1U);
    EXPECT_THAT(models_.problems()[0], HasSubstr("b.gguf is missing; pull the model again"));
    folder_.write("m/b.gguf", gguf_bytes(9));
    EXPECT_EQ(only().repository, "o/n@main");
}

/// Counts calls, so that a test can wait for one.
class Calls {
public:
    void operator()() {
        const std::lock_guard lock(mutex_);
        ++count_;
        changed_.notify_all();
    }
    bool wait_until(const std::function<bool()>& good) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60), good);
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
};

TEST_F(Local, TheWatchSeesModelsComeAndGo) {
    const fs::path later = folder_.path() + "/not/yet";
    LocalModels models({later.string()});
    Calls calls;
    ASSERT_TRUE(models.watch([&] { calls(); }).has_value());
    EXPECT_FALSE(models.watch({}).has_value());
    const auto listed = [&](std::vector<std::string> wanted) {
        return calls.wait_until([&models, wanted] {
            std::vector<std::string> there;
            for (const Entry& entry : models.list()) {
                there.push_back(entry.id);
            }
            return there == wanted;
        });
    };
    folder_.write("not/yet/a.gguf", gguf_bytes(9));
    EXPECT_TRUE(listed({"a"}));
    folder_.write("not/yet/b/b1.gguf", gguf_bytes(9));
    EXPECT_TRUE(listed({"a", "b"}));
    fs::rename(later / "b", later / "c");
    EXPECT_TRUE(listed({"a", "c"}));
    fs::remove_all(later / "c");
    fs::remove(later / "a.gguf");
    EXPECT_TRUE(listed({}));
}

TEST_F(Local, NamesAloneTellModelsApartWithoutReadingThem) {
    folder_.write("a.gguf", "not read");
    const std::vector<std::string> folders{folder_.path()};
    const auto found = find_models(folders);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].id, "a");
}

}  // namespace
}  // namespace trilane::catalog
