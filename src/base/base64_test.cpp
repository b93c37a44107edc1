#include "base/base64.h"

#include <gtest/gtest.h>

namespace trilane {
namespace {

TEST(Base64, VectorsOfTheStandard) {  // RFC 4648, section 10
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(base64_encoded(bytes), text);
        EXPECT_EQ(base64_decoded(text), bytes);
    }
}

TEST(Base64, EveryByteGoesThereAndBack) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
        bytes += static_cast<char>(i);
        EXPECT_EQ(base64_decoded(base64_encoded(bytes)), bytes);
    }
}

TEST(Base64, TakesWhatIsMeant) {
    EXPECT_EQ(base64_decoded("_-8"), base64_decoded("/+8="));
    EXPECT_EQ(base64_decoded("Zm9v\r\nYmFy\n"), "foobar");
    EXPECT_EQ(base64_decoded("Zg"), "f");
}

TEST(Base64, RefusesWhatIsNone) {
    for (const char* text : {"Z", "Zg=", "Zg===", "Z===", "Zg==Zg==", "Zm9v=", "Zm9v!", "=", "ä"}) {
        EXPECT_FALSE(base64_decoded(text)) << text;
    }
}

}  // namespace
}  // namespace trilane
