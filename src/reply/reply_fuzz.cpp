// Any bytes as a model's answer, in any style: the reader must end, give the same however the text
// is cut, and lose no letter of an answer that holds no mark.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "reply/reader.h"

namespace {

using trilane::job::Text;
using trilane::job::ToolCallPiece;

const std::vector<trilane::job::Tool>& tools() {
    static const std::vector<trilane::job::Tool> kTools{
        {"f", "", R"({"properties": {"s": {"type": "string"}, "n": {"type": "number"}}})"},
        {"get_time", "", "{}"}};
    return kTools;
}

std::string joined(std::uint8_t flags, std::string_view text, std::size_t cut) {
    trilane::reply::Style style;
    style.calls = static_cast<trilane::reply::Calls>(flags % 7);
    trilane::reply::ReaderOptions options;
    options.tools = tools();
    options.in_thought = (flags & 0x40U) != 0;
    options.only_one_call = (flags & 0x80U) != 0;
    trilane::reply::ReplyReader reader(style, options);
    std::string all;
    char kind = 0;
    const auto add = [&](const std::vector<trilane::reply::Piece>& pieces) {
        for (const auto& piece : pieces) {
            const auto* said = std::get_if<Text>(&piece);
            const auto* call = std::get_if<ToolCallPiece>(&piece);
            const char own = said == nullptr ? 'c' : said->reasoning ? 'r' : 't';
            if (own != kind || (call != nullptr && !call->name.empty())) {
                all += '\0';
                all += kind = own;
            }
            all += said != nullptr ? said->text : call->name + call->arguments;
        }
    };
    add(reader.feed(text.substr(0, cut)));
    add(reader.feed(text.substr(cut)));
    add(reader.finish());
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t cut = text.empty() ? 0 : data[1] % (text.size() + 1);
    const std::string whole = joined(data[0], text, 0);
    TRILANE_CHECK(whole == joined(data[0], text, cut));
    if (text.find_first_of("<[{f") == std::string_view::npos && (data[0] & 0x40U) == 0 &&
        !text.empty()) {
        TRILANE_CHECK(whole == std::string("\0t", 2) + std::string(text));
    }
    return 0;
}
