// Tests of versions as texts.
#include "doctor/version.h"

#include <gtest/gtest.h>

namespace trilane::doctor {
namespace {

TEST(Version, IsReadFromWhatProgramsAndPackagesSay) {
    EXPECT_EQ(version_in("6.18.4-200.fc43.x86_64"), (Version{{6, 18, 4}}));
    EXPECT_EQ(version_in("7.0.9"), (Version{{7, 0, 9}}));
    EXPECT_EQ(version_in("1:25.2.1-1"), (Version{{25, 2, 1}}));
    EXPECT_EQ(version_in("v0.9.43"), (Version{{0, 9, 43}}));
    EXPECT_EQ(version_in("1.1.2.65"), (Version{{1, 1, 2}}));
    EXPECT_EQ(version_in("7"), (Version{{7, 0, 0}}));
    EXPECT_EQ(version_in("6.12.43+deb13-amd64"), (Version{{6, 12, 43}}));
    EXPECT_EQ(version_in("6.19-rc1"), (Version{{6, 19, 0}}));
    EXPECT_EQ(version_in("7."), (Version{{7, 0, 0}}));
    EXPECT_EQ(version_in(""), std::nullopt);
    EXPECT_EQ(version_in("unknown"), std::nullopt);
    EXPECT_EQ(version_in("99999999999"), std::nullopt);
}

TEST(Version, ComparesByNumbers) {
    EXPECT_LT((Version{{6, 9, 9}}), (Version{{6, 18, 0}}));
    EXPECT_LT((Version{{0, 9, 43}}), (Version{{1, 0, 0}}));
    EXPECT_EQ((Version{{6, 17, 0}}).text(), "6.17");
    EXPECT_EQ((Version{{6, 18, 4}}).text(), "6.18.4");
}

}  // namespace
}  // namespace trilane::doctor
