#include "lane/child/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trilane::lane {
namespace {

using ::testing::ElementsAre;

TEST(Environment, LeavesOutWhatMisleadsEngines) {
    const std::vector<std::string> inherited{"HOME=/home/user",
                                             "LLAMA_ARG_PORT=1",
                                             "FLM_MODEL_PATH=/elsewhere",
                                             "XILINX_XRT=/opt/xilinx",
                                             "XILINX_XRT_X=1",
                                             "TRILANE_API_KEY=secret",
                                             "LLAMA_API_KEY=secret",
                                             "PATH=/usr/bin",
                                             "broken",
                                             "=x",
                                             "GGML_VK_VISIBLE_DEVICES=0"};
    EXPECT_THAT(child_environment(inherited, {}, {}),
                ElementsAre("GGML_VK_VISIBLE_DEVICES=0", "HOME=/home/user", "PATH=/usr/bin"));
}

TEST(Environment, TakesXrtOutOfLibraryFolders) {
    const std::vector<std::string> mixed{
        "LD_LIBRARY_PATH=/opt/xilinx/xrt/lib:/opt/rocm/lib::/usr/XRT:/lib"};
    EXPECT_THAT(child_environment(mixed, {}, {}),
                ElementsAre("LD_LIBRARY_PATH=/opt/rocm/lib:/lib"));
    const std::vector<std::string> only{"LD_LIBRARY_PATH=/opt/xilinx/xrt/lib"};
    EXPECT_TRUE(child_environment(only, {}, {}).empty());
}

TEST(Environment, TheUserHasTheLastWord) {
    const std::vector<std::string> inherited{"A=inherited", "B=inherited", "C=inherited"};
    EXPECT_THAT(child_environment(inherited, {{"B", "kind"}, {"C", "kind"}},
                                  {{"C", "user"}, {"FLM_MODEL_PATH", "/models"}}),
                ElementsAre("A=inherited", "B=kind", "C=user", "FLM_MODEL_PATH=/models"));
}

TEST(Environment, FindsAValue) {
    const std::vector<std::string> environment{"HOME=/home/user", "HOMEX=/x", "EMPTY="};
    EXPECT_EQ(variable_in(environment, "HOME"), "/home/user");
    EXPECT_EQ(variable_in(environment, "EMPTY"), "");
    EXPECT_EQ(variable_in(environment, "HOM"), "");
}

}  // namespace
}  // namespace trilane::lane
