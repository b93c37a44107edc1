#include "dialect/multipart.h"

#include <gtest/gtest.h>

namespace trilane::dialect {
namespace {

constexpr std::string_view kType = "multipart/form-data; boundary=XX";

std::string part(std::string_view head, std::string_view content) {
    return "--XX\r\n" + std::string(head) + "\r\n\r\n" + std::string(content) + "\r\n";
}

TEST(Multipart, FieldsAndFiles) {
    const std::string body =
        part("Content-Disposition: form-data; name=\"model\"", "tiny") +
        part(
            "content-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\n"
            "Content-Type: audio/wav",
            std::string("RI\0FF\r\n--X", 10)) +
        "--XX--\r\n";
    const auto parts = form_parts(kType, body);
    ASSERT_TRUE(parts) << parts.error().message;
    ASSERT_EQ(parts->size(), 2U);
    EXPECT_EQ((*parts)[0].name, "model");
    EXPECT_EQ((*parts)[0].content, "tiny");
    EXPECT_EQ((*parts)[0].file_name, "");
    EXPECT_EQ((*parts)[1].name, "file");
    EXPECT_EQ((*parts)[1].file_name, "a \"b\".wav");
    EXPECT_EQ((*parts)[1].type, "audio/wav");
    EXPECT_EQ((*parts)[1].content, std::string("RI\0FF\r\n--X", 10));
}

TEST(Multipart, OddButRight) {
    // A preamble, padding behind a boundary, unquoted names, an empty content, an epilogue.
    const std::string body =
        "for people\r\n--XX  \r\nContent-Disposition: form-data; name=a; other=b\r\n\r\n\r\n"
        "--XX\r\nX-Odd: 1\r\nContent-Disposition: form-data;name=\"\"\r\n\r\nv\r\n--XX--\r\nmore";
    const auto parts = form_parts("Multipart/Form-Data; charset=utf-8; boundary=\"XX\"", body);
    ASSERT_TRUE(parts) << parts.error().message;
    ASSERT_EQ(parts->size(), 2U);
    EXPECT_EQ((*parts)[0].name, "a");
    EXPECT_EQ((*parts)[0].content, "");
    EXPECT_EQ((*parts)[1].name, "");
    EXPECT_EQ((*parts)[1].content, "v");
    EXPECT_TRUE(form_parts(kType, "--XX--")->empty());
}

TEST(Multipart, KnowsAForm) {
    EXPECT_TRUE(is_form("Multipart/Form-data; boundary=x"));
    EXPECT_FALSE(is_form("application/json"));
    EXPECT_FALSE(is_form(""));
}

TEST(Multipart, Refusals) {
    const auto refused = [](std::string_view type, const std::string& body) {
        const auto parts = form_parts(type, body);
        EXPECT_FALSE(parts) << body;
        return parts ? "" : parts.error().message;
    };
    const std::string name = "Content-Disposition: form-data; name=\"a\"";
    EXPECT_NE(refused("multipart/form-data", "").find("no boundary"), std::string::npos);
    EXPECT_NE(refused("multipart/form-data; boundary=", "").find("no boundary"), std::string::npos);
    EXPECT_NE(refused(kType, "").find("does not begin"), std::string::npos);
    EXPECT_NE(refused(kType, "--XX").find("not alone"), std::string::npos);
    EXPECT_NE(refused(kType, "--XXY\r\n").find("not alone"), std::string::npos);
    EXPECT_NE(refused(kType, "--XX\r\n" + name).find("no end"), std::string::npos);
    EXPECT_NE(refused(kType, "--XX\r\n" + name + "\r\n\r\nvalue").find("inside its part \"a\""),
              std::string::npos);
    EXPECT_NE(refused(kType, part("no header", "v") + "--XX--").find("no headers"),
              std::string::npos);
    EXPECT_NE(refused(kType, part("X: y", "v") + "--XX--").find("without a name"),
              std::string::npos);
    EXPECT_NE(refused(kType, "--XX\r\n\r\nv\r\n--XX--").find("without a name"), std::string::npos);
    EXPECT_NE(refused(kType, part(name + "\r\nX: " + std::string(9000, 'x'), "v")).find("8192"),
              std::string::npos);
    std::string many;
    for (std::size_t i = 0; i <= kFormPartsMax; ++i) {
        many += part(name, "v");
    }
    EXPECT_NE(refused(kType, many + "--XX--").find("more than 256"), std::string::npos);
}

}  // namespace
}  // namespace trilane::dialect
