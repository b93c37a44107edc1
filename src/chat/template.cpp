// The public face: compile once, render with an Interpreter per call.
#include "chat/template.h"

#include <chrono>

#include "chat/interpreter.h"
#include "chat/parser.h"
#include "json/json.h"

namespace trilane::chat {

Result<Template> Template::compile(std::string_view source) {
    if (source.size() > kSourceBytesMax) {
        return fail(Fault::invalid, "the chat template is {} bytes long; the limit is {}",
                    source.size(), kSourceBytesMax);
    }
    TRILANE_TRY(auto program, parse(source));
    return Template(std::make_shared<const Program>(std::move(program)));
}

Result<std::string> Template::render(const json::Value& variables,
                                     const RenderOptions& options) const {
    if (!variables.is_object()) {
        return fail(Fault::invalid, "the variables of a chat template must be an object, not {}",
                    json::type_name(variables));
    }
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    Interpreter interpreter(*program_, options, options.now_unix_s.value_or(now.count()));
    return interpreter.run(variables);
}

bool Template::mentions(std::string_view variable) const {
    return program_->names.find(variable) != program_->names.end();
}

}  // namespace trilane::chat
