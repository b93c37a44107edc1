// The library of files against a hub on this machine: pulls that are shared and broken off, further
// names, deletions, descriptions.
#include "catalog/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <mutex>

#include "catalog/further_names.h"
#include "catalog/local_hub_test.h"
#include "json/json.h"

namespace trilane::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kPatience = std::chrono::seconds(30);

/// Follows a pull from another thread.
class Follower {
public:
    PullListener listener() {
        return {[this](const PullNews& news) {
                    const std::scoped_lock lock(mutex_);
                    news_.push_back(news);
                },
                [this](const Result<Entry>& entry) { end_.set_value(entry); }};
    }
    Result<Entry> wait() {
        auto end = end_.get_future();
        if (end.wait_for(kPatience) != std::future_status::ready) {
            return fail(Fault::timeout, "the pull has not ended");
        }
        return end.get();
    }
    std::vector<PullNews> news() {
        const std::scoped_lock lock(mutex_);
        return news_;
    }

private:
    std::mutex mutex_;
    std::vector<PullNews> news_;
    std::promise<Result<Entry>> end_;
};

class LibraryTest : public ::testing::Test {
protected:
    void SetUp() override { open(); }

    void open() {
        library_.reset();
        LibraryOptions options;
        options.directory = folder_.path();
        options.hub = hub_.options();
        options.spare_bytes = 0;
        options.entries = [this] { return models_.list(); };
        options.changed = [this] {
            models_.scan();
            ++changes_;
        };
        options.unload = [this](const std::string& id) { unloaded_.push_back(id); };
        options.log = [this](std::string_view line) { logged_.emplace_back(line); };
        models_.scan();
        library_ = open_library(std::move(options));
    }

    /// Waits for the answer of a function that calls back.
    template <class Answer, class Call>
    Answer answer_of(Call call) {
        std::promise<Answer> promise;
        call([&](Answer answer) { promise.set_value(std::move(answer)); });
        auto future = promise.get_future();
        EXPECT_EQ(future.wait_for(kPatience), std::future_status::ready);
        return future.get();
    }
    Status add_name(FurtherName name) {
        return answer_of<Status>(
            [&](auto done) { library_->add_name(std::move(name), std::move(done)); });
    }
    Status remove_name(const std::string& name) {
        return answer_of<Status>([&](auto done) { library_->remove_name(name, std::move(done)); });
    }
    Status remove(const std::string& id) {
        return answer_of<Status>([&](auto done) { library_->remove(id, std::move(done)); });
    }
    Result<Entry> pull(const std::string& reference, const std::string& name = "") {
        Follower follower;
        auto ticket = library_->pull({reference, "", false, name}, follower.listener());
        return ticket ? follower.wait() : tl::unexpected(ticket.error());
    }
    std::vector<std::string> ids() const {
        std::vector<std::string> all;
        for (const Entry& entry : library_->list()) {
            all.push_back(entry.id);
        }
        return all;
    }

    LocalHub hub_;
    TempFolder folder_;
    LocalModels models_{{folder_.path()}};
    std::atomic<int> changes_ = 0;
    std::vector<std::string> unloaded_;
    std::vector<std::string> logged_;
    std::unique_ptr<Library> library_;
};

TEST_F(LibraryTest, PullsAndTellsHowItGoes) {
    const std::string bytes = gguf_bytes(3'000'000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    Follower follower;
    const auto ticket = library_->pull({kRepository, "", false, "mine"}, follower.listener());
    ASSERT_TRUE(ticket) << ticket.error().message;
    const auto entry = follower.wait();
    ASSERT_TRUE(entry) << entry.error().message;
    EXPECT_EQ(entry->id, "Tiny-Q8_0");
    EXPECT_THAT(ids(), ElementsAre("Tiny-Q8_0"));
    const auto news = follower.news();
    ASSERT_GE(news.size(), 2U);
    EXPECT_EQ(news[0].phase, "choosing");
    EXPECT_EQ(news[1].phase, "downloading");
    EXPECT_EQ(news[1].model, "Tiny-Q8_0");
    EXPECT_EQ(news[1].total_bytes, bytes.size());
    EXPECT_EQ(news[1].sha256, sha256_hex(bytes));
    const auto further = library_->further_name("mine");
    ASSERT_TRUE(further);
    EXPECT_EQ(further->model, "Tiny-Q8_0");
    EXPECT_GE(changes_, 1);
    EXPECT_THAT(library_->pulls(), IsEmpty());
}

TEST_F(LibraryTest, ChoosesAsItIsTold) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(500));
    hub_.put(kRepository, "tiny-Q4_K_M.gguf", gguf_bytes(100));
    EXPECT_EQ(pull(kRepository + ":q4_k_m")->id, "Tiny-Q4_K_M");
}

TEST_F(LibraryTest, ListsTheVariantsOfARepository) {
    using Variants = Result<std::vector<Variant>>;
    const auto ask = [this](const std::string& reference) {
        return answer_of<Variants>(
            [&](auto done) { library_->variants(reference, std::move(done)); });
    };
    hub_.put(kRepository, "tiny-Q4_K_M.gguf", gguf_bytes(100));
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(500));
    const Variants listed = ask(kRepository);
    ASSERT_TRUE(listed) << listed.error().message;
    ASSERT_EQ(listed->size(), 2U);
    EXPECT_EQ(listed->front().name, "Q8_0") << "the best comes first";
    ASSERT_EQ(listed->front().files.size(), 1U);
    EXPECT_EQ(listed->front().files[0].path, "tiny-Q8_0.gguf");
    EXPECT_EQ(ask("owner/none").error().fault, Fault::not_found);
    EXPECT_EQ(ask("none").error().fault, Fault::invalid);
    library_->stop();
    EXPECT_EQ(ask(kRepository).error().fault, Fault::unavailable);
}

TEST_F(LibraryTest, PullsOfTheSameAreOne) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(200'000));
    hub_.fail_next({{.bytes = 1000, .hold = true}});
    Follower first;
    Follower second;
    auto one = library_->pull({kRepository, "", false, "one"}, first.listener());
    ASSERT_TRUE(one);
    ASSERT_TRUE(hub_.wait_for_file_requests(1));
    auto two = library_->pull({"hf.co/" + kRepository, "", false, "two"}, second.listener());
    ASSERT_TRUE(two);
    EXPECT_EQ(library_->pulls().size(), 1U);
    one->reset();  // the other still wants it
    hub_.let_go();
    const auto entry = second.wait();
    ASSERT_TRUE(entry) << entry.error().message;
    EXPECT_TRUE(library_->further_name("one") && library_->further_name("two"));
    std::size_t listings = 0;
    for (const SeenRequest& request : hub_.seen()) {
        listings += request.target.find("/tree/") != std::string::npos ? 1U : 0U;
    }
    EXPECT_EQ(listings, 1U);
}

TEST_F(LibraryTest, ALastFollowersLeavingStopsThePullAndTheNextGoesOn) {
    const std::string bytes = gguf_bytes(400'000);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    const HubFault at_first{.bytes = 60'000, .hold = true};
    HubFault at_once = at_first;
    at_once.bytes = 0;
    hub_.fail_next({at_first, at_once});
    Follower follower;
    auto ticket = library_->pull({kRepository, "", false, ""}, follower.listener());
    ASSERT_TRUE(ticket);
    ASSERT_TRUE(hub_.wait_for_file_requests(1));
    ticket->reset();
    hub_.let_go();
    while (!library_->pulls().empty()) {
        std::this_thread::yield();
    }
    EXPECT_THAT(ids(), IsEmpty());
    const auto entry = pull(kRepository);
    ASSERT_TRUE(entry) << entry.error().message;
    EXPECT_EQ(file_text(entry->path), bytes);
}

TEST_F(LibraryTest, SaysWhatIsWrongWithAPull) {
    EXPECT_EQ(pull("nonsense").error().fault, Fault::invalid);
    EXPECT_EQ(pull("owner/none").error().fault, Fault::not_found);
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(500));
    EXPECT_THAT(pull(kRepository + ":Q2_K").error().message, HasSubstr("name one of: Q8_0"));
}

TEST_F(LibraryTest, StoppingEndsWhatIsUnderWay) {
    hub_.put(kRepository, "tiny-Q8_0.gguf", gguf_bytes(200'000));
    hub_.fail_next({{.bytes = 1000, .hold = true}});
    Follower follower;
    const auto ticket = library_->pull({kRepository, "", false, ""}, follower.listener());
    ASSERT_TRUE(ticket);
    ASSERT_TRUE(hub_.wait_for_file_requests(1));
    library_->stop();
    EXPECT_EQ(follower.wait().error().fault, Fault::cancelled);
    EXPECT_EQ(pull(kRepository).error().fault, Fault::unavailable);
    EXPECT_EQ(remove("Tiny-Q8_0").error().fault, Fault::unavailable);
    hub_.let_go();
}

TEST_F(LibraryTest, KeepsFurtherNames) {
    ASSERT_TRUE(add_name({"mine", "a", "Be brief.", R"({"top_k":3})", "MIT", 7}));
    ASSERT_TRUE(add_name({"other", "a", {}, {}, {}, 0}));
    ASSERT_TRUE(add_name({"mine", "b", "Be long.", {}, {}, 0}));
    open();
    ASSERT_EQ(library_->further_names().size(), 2U);
    EXPECT_EQ(library_->further_name("mine")->model, "b");
    EXPECT_EQ(library_->further_name("mine")->system, "Be long.");
    EXPECT_GT(library_->further_name("mine")->added_unix_s, 0);
    EXPECT_TRUE(remove_name("mine"));
    EXPECT_EQ(remove_name("mine").error().fault, Fault::not_found);
    EXPECT_FALSE(library_->further_name("mine"));
}

TEST_F(LibraryTest, NamesThatCannotBeReadAreToldAndKept) {
    folder_.write("names.json", "garbage");
    open();
    ASSERT_EQ(logged_.size(), 1U);
    EXPECT_THAT(logged_[0], HasSubstr("names.json"));
    ASSERT_TRUE(add_name({"mine", "a", {}, {}, {}, 0}));
    EXPECT_EQ(file_text(folder_.file("names.json.damaged")), "garbage");
    open();
    EXPECT_TRUE(library_->further_name("mine"));
    EXPECT_EQ(logged_.size(), 1U) << "and it is whole again";
}

TEST_F(LibraryTest, AFolderInTheNamesPlaceIsPutAside) {
    folder_.write("names.json/x.gguf", gguf_bytes(100));
    open();
    EXPECT_EQ(logged_.size(), 1U);
    ASSERT_TRUE(add_name({"mine", "a", {}, {}, {}, 0}));
    open();
    EXPECT_TRUE(library_->further_name("mine"));
}

TEST_F(LibraryTest, DeletesAModelAndItsNames) {
    folder_.write("a/a-Q8_0.gguf", gguf_bytes(100));
    folder_.write("b/b-Q8_0.gguf", gguf_bytes(100));
    models_.scan();
    ASSERT_TRUE(add_name({"mine", "a", {}, {}, {}, 0}));
    ASSERT_TRUE(add_name({"other", "b", {}, {}, {}, 0}));
    ASSERT_TRUE(remove("a"));
    EXPECT_THAT(unloaded_, ElementsAre("a"));
    EXPECT_THAT(ids(), ElementsAre("b"));
    EXPECT_FALSE(library_->further_name("mine"));
    EXPECT_TRUE(library_->further_name("other"));
    EXPECT_EQ(remove("a").error().fault, Fault::not_found);
}

TEST_F(LibraryTest, DeletesAModelThoughItsNamesCannotBeWritten) {
    folder_.write("a/a-Q8_0.gguf", gguf_bytes(100));
    models_.scan();
    ASSERT_TRUE(add_name({"mine", "a", {}, {}, {}, 0}));
    folder_.write("names.json.new/in-the-way", "");
    EXPECT_TRUE(remove("a"));
    EXPECT_THAT(ids(), ElementsAre());
    EXPECT_FALSE(library_->further_name("mine"));
    ASSERT_EQ(logged_.size(), 1U);
    EXPECT_THAT(logged_[0], HasSubstr("names.json"));
}

TEST_F(LibraryTest, DescribesAModel) {
    folder_.write("a/a-Q8_0.gguf", gguf_bytes(100));
    models_.scan();
    const auto described = answer_of<Result<Description>>(
        [&](auto done) { library_->describe("a", false, std::move(done)); });
    ASSERT_TRUE(described) << described.error().message;
    const auto metadata = json::parse(described->metadata);
    ASSERT_TRUE(metadata);
    EXPECT_EQ((*metadata)["general.architecture"], "llama");
    EXPECT_EQ((*metadata)["llama.context_length"], 4096);
    EXPECT_EQ(described->template_text, "");
    const auto none = answer_of<Result<Description>>(
        [&](auto done) { library_->describe("none", false, std::move(done)); });
    EXPECT_EQ(none.error().fault, Fault::not_found);
}

TEST_F(LibraryTest, FindsAFileByItsDigest) {
    const std::string bytes = gguf_bytes(100);
    hub_.put(kRepository, "tiny-Q8_0.gguf", bytes);
    ASSERT_TRUE(pull(kRepository));
    const auto find = [&](const std::string& sha256) {
        return answer_of<Result<std::string>>(
            [&](auto done) { library_->find_by_digest(sha256, std::move(done)); });
    };
    EXPECT_EQ(find(sha256_hex(bytes)).value(), "Tiny-Q8_0");
    EXPECT_EQ(find("00").error().fault, Fault::not_found);
}

TEST(LibraryWithoutFolder, SaysSo) {
    LibraryOptions options;
    options.entries = [] { return std::vector<Entry>(); };
    const auto library = open_library(std::move(options));
    const auto ticket = library->pull({kRepository, "", false, ""}, {});
    ASSERT_FALSE(ticket);
    EXPECT_THAT(ticket.error().message, HasSubstr("XDG_DATA_HOME"));
}

TEST(FurtherNames, AreReadBackAndChecked) {
    const std::vector<FurtherName> names{{"n", "m", "s\n", "{}", "l", 5, true}};
    const auto again = parse_names(names_text(names));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->at(0).system, "s\n");
    EXPECT_EQ(again->at(0).added_unix_s, 5);
    EXPECT_TRUE(again->at(0).pulled);
    for (const char* bad :
         {"", "[]", "{}", R"({"format":2,"names":[]})", R"({"format":1,"names":[3]})",
          R"({"format":1,"names":[{"name":"a"}]})"}) {
        EXPECT_EQ(parse_names(bad).error().fault == Fault::corrupt ||
                      parse_names(bad).error().fault == Fault::invalid,
                  true)
            << bad;
    }
}

TEST(Sha256OfText, IsTheKnownOne) {
    EXPECT_EQ(sha256_of_text("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace trilane::catalog
