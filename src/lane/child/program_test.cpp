// Finding programs, and short runs of real ones.
#include "lane/child/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "lane/child/test_folder.h"

namespace trilane::lane {
namespace {

using namespace rig;

using ::testing::HasSubstr;
using Names = std::vector<std::string>;

TEST(FindProgram, TakesTheFirstNameThatIsThere) {
    const TestFolder folder;
    const std::string second = folder.write_program("b/oflm", "");
    const Names directories{folder.path() + "/a", folder.path() + "/b"};
    EXPECT_EQ(find_program(Names{"flm", "oflm"}, directories, "npu").value(), second);
    EXPECT_EQ(find_program(Names{second}, {}, "npu").value(), second);
}

TEST(FindProgram, SaysWhereItLooked) {
    const TestFolder folder;
    folder.write("flm", "not executable");
    std::filesystem::create_directories(folder.path() + "/oflm");  // a folder is no program
    const auto found = find_program(Names{"flm", "oflm"}, Names{folder.path()}, "npu");
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().fault, Fault::not_found);
    EXPECT_THAT(found.error().message, HasSubstr("lane npu: there is no program flm or oflm"));
    EXPECT_THAT(found.error().message, HasSubstr(folder.path()));
    EXPECT_FALSE(find_program(Names{folder.path() + "/flm"}, {}, "npu").has_value());
}

class AskProgram : public ::testing::Test {
protected:
    TestFolder folder_;
    os::ChildWatch children_;
};

TEST_F(AskProgram, BringsBackWhatItPrinted) {
    const std::string program = folder_.write_program(
        "tool", "printf '{\"a\":\\n1}'\necho warning >&2\necho \"$NAME $1\"\nexit 3\n");
    const auto printed = ask_program(children_, {program, "x"}, {"NAME=value"}, {});
    ASSERT_TRUE(printed.has_value()) << printed.error().message;
    EXPECT_EQ(printed->json, "{\"a\":1}value x");
    EXPECT_THAT(printed->text, HasSubstr("warning\n"));
    EXPECT_EQ(printed->exit.code, 3);
}

TEST_F(AskProgram, LongLinesOfJsonStayWhole) {
    const std::string program =
        folder_.write_program("tool", "head -c 200000 /dev/zero | tr '\\0' x\n");
    const auto printed = ask_program(children_, {program}, {"PATH=/usr/bin:/bin"}, {});
    ASSERT_TRUE(printed.has_value()) << printed.error().message;
    EXPECT_EQ(printed->json, std::string(200'000, 'x'));
}

TEST_F(AskProgram, DoesNotWaitForEver) {
    const std::string program = folder_.write_program("tool", "exec sleep 600\n");
    const auto printed = ask_program(children_, {program}, {"PATH=/usr/bin:/bin"}, {},
                                     std::chrono::milliseconds(50));
    ASSERT_FALSE(printed.has_value());
    EXPECT_EQ(printed.error().fault, Fault::timeout);
}

TEST_F(AskProgram, EndsWhenCancelled) {
    const std::string program = folder_.write_program("tool", "exec sleep 600\n");
    const CancelToken cancel;
    std::thread canceller([&] { cancel.cancel(); });
    const auto printed = ask_program(children_, {program}, {"PATH=/usr/bin:/bin"}, cancel);
    canceller.join();
    ASSERT_FALSE(printed.has_value());
    EXPECT_EQ(printed.error().fault, Fault::cancelled);
}

TEST_F(AskProgram, SaysThatThereIsNone) {
    const auto printed = ask_program(children_, {folder_.path() + "/none"}, {}, {});
    ASSERT_FALSE(printed.has_value());
    EXPECT_EQ(printed.error().fault, Fault::not_found);
}

TEST(OncePerVersion, AsksAgainWhenTheFileChanges) {
    const TestFolder folder;
    const std::string path = folder.write("tool", "one");
    OncePerVersion<int> answer(path);
    int asked = 0;
    const std::function<Result<int>()> ask = [&]() -> Result<int> { return ++asked; };
    EXPECT_EQ(**answer.get(ask), 1);
    EXPECT_EQ(**answer.get(ask), 1);
    folder.write("tool", "three");
    EXPECT_EQ(**answer.get(ask), 2);
    answer.forget();
    EXPECT_EQ(**answer.get(ask), 3);
    EXPECT_EQ(**answer.get([]() -> Result<int> { return fail(Fault::internal, "not asked"); }), 3);
}

TEST(OncePerVersion, ForgetsFailures) {
    const TestFolder folder;
    OncePerVersion<int> answer(folder.write("tool", "one"));
    EXPECT_FALSE(
        answer.get([]() -> Result<int> { return fail(Fault::timeout, "no"); }).has_value());
    EXPECT_EQ(**answer.get([]() -> Result<int> { return 5; }), 5);
}

}  // namespace
}  // namespace trilane::lane
