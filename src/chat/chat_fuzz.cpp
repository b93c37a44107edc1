// Any bytes as a template: compiling and rendering them must end, within limits, with a text or an
// error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chat/template.h"
#include "json/json.h"

namespace {

const trilane::json::Value& variables() {
    static const auto kVariables = trilane::json::parse(R"({
            "messages": [{"role": "system", "content": " Be brief.\n"},
                         {"role": "user", "content": "Grüße, 1 < 2 & \"x\""},
                         {"role": "assistant", "content": null,
                          "tool_calls": [{"id": "a1", "type": "function",
                                          "function": {"name": "f", "arguments": {"x": 1.5}}}]},
                         {"role": "tool", "content": "[1, 2]"}],
            "tools": [{"type": "function",
                       "function": {"name": "f", "parameters": {"type": "object"}}}],
            "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})")
                                       .value();
    return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    const auto compiled = trilane::chat::Template::compile(source);
    if (!compiled) {
        return 0;
    }
    trilane::chat::RenderOptions options;
    options.limits = {1U << 16U, 8U << 20U, 100'000, 200};
    options.now_unix_s = 1'753'600'000;
    (void)compiled->render(variables(), options);
    return 0;
}
