#include "base/result.h"

#include <gtest/gtest.h>

namespace trilane {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) {
        return fail(Fault::invalid, "{} is odd", n);
    }
    return n / 2;
}

Result<int> quarter(int n) {
    TRILANE_TRY(const int h, half(n));
    return half(h);
}

TEST(Result, PassesValuesAndErrorsUp) {
    EXPECT_EQ(quarter(8).value(), 2);
    const auto odd = quarter(6);
    ASSERT_FALSE(odd);
    EXPECT_EQ(odd.error().fault, Fault::invalid);
    EXPECT_EQ(odd.error().message, "3 is odd");
}

TEST(Result, BecausePutsTheContextFirst) {
    Error error{Fault::corrupt, "bad magic"};
    EXPECT_EQ(std::move(error).because("opening m.gguf").message, "opening m.gguf: bad magic");
}

}  // namespace
}  // namespace trilane
