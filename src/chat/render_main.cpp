// trilane_render_template: renders templates from standard input, for comparisons with other
// renderers (tests/templates). One JSON object a line in: {"template", "variables", "now"}; one a
// line out: {"text"} or {"error"}. A development tool, not installed.
#include <iostream>
#include <string>

#include "chat/template.h"
#include "json/json.h"

namespace {

trilane::Result<std::string> render(const trilane::json::Value& request) {
    const auto source = request.find("template");
    const auto variables = request.find("variables");
    if (source == request.end() || !source->is_string() || variables == request.end()) {
        return trilane::fail(trilane::Fault::invalid, "a line needs 'template' and 'variables'");
    }
    TRILANE_TRY(const auto compiled,
                trilane::chat::Template::compile(source->get_ref<const std::string&>()));
    trilane::chat::RenderOptions options;
    if (const auto now = request.find("now"); now != request.end() && now->is_number()) {
        options.now_unix_s = now->get<std::int64_t>();
    }
    return compiled.render(*variables, options);
}

}  // namespace

int main() {
    std::string line;
    while (std::getline(std::cin, line)) {
        const auto request = trilane::json::parse(line);
        const auto text = request ? render(*request)
                                  : trilane::Result<std::string>(tl::unexpected(request.error()));
        trilane::json::Value answer;
        if (text) {
            answer["text"] = *text;
        } else {
            answer["error"] = text.error().message;
        }
        std::cout << trilane::json::dump(answer) << '\n';
    }
    return 0;
}
