#include "dialect/openai/tools.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "dialect/openai/openai.h"
#include "json/json.h"

namespace trilane::dialect::openai {
namespace {

using ChoiceKind = job::ToolChoice::Kind;

constexpr std::string_view kChoiceWanted =
    "\"auto\", \"none\", \"required\" or the function to call";

/// A function as both shapes and the old way have it.
Result<job::Tool> read_function(const Fields& fields) {
    job::Tool tool;
    TRILANE_TRY(tool.name, fields.required_text("name", "the name of the function"));
    TRILANE_TRY(std::optional<std::string> description, fields.text("description"));
    tool.description = std::move(description).value_or("");
    TRILANE_TRY(const json::Value* parameters, fields.object("parameters"));
    // A function without parameters takes an empty object; templates print what stands here.
    tool.parameters =
        parameters == nullptr ? R"({"type":"object","properties":{}})" : json::dump(*parameters);
    return tool;
}

Result<job::Tool> read_tool(const json::Value& value, ToolShape shape, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with type and function");
    }
    const Fields fields(value, path);
    TRILANE_TRY(const std::string type, fields.required_text("type", "\"function\""));
    if (type != "function") {
        return refuse(fields.path_of("type"), json::Value(type),
                      "\"function\": tools that OpenAI runs itself are not here");
    }
    if (shape == ToolShape::flat) {
        return read_function(fields);
    }
    TRILANE_TRY(const json::Value* function, fields.object("function"));
    if (function == nullptr) {
        return fail(Fault::invalid,
                    "{}: missing; send an object with name, description and parameters",
                    fields.path_of("function"));
    }
    return read_function(Fields(*function, fields.path_of("function")));
}

constexpr std::string_view kNamespace = "namespace";

std::string plain_joined(std::string_view space, std::string_view name) {
    return fmt::format("{}__{}", space, name);
}

bool is_namespace(const json::Value& tool) {
    return tool.is_object() && tool.value("type", json::Value()) == kNamespace;
}

/// Those behind a namespace, too: a plain function is called by the name that the client gave it.
void reserve_plain_names(const json::Value& tools, SpacedNames& names) {
    for (const json::Value& tool : tools) {
        if (tool.is_object() && !is_namespace(tool)) {
            const auto name = tool.find("name");
            if (name != tool.end() && name->is_string()) {
                names.reserve(name->get<std::string>());
            }
        }
    }
}

/// {"type": "namespace", "name": …, "tools": [functions]}: each under its joined name.
Status read_namespace(const json::Value& value, const std::string& path, job::Chat& chat,
                      SpacedNames& names) {
    const Fields fields(value, path);
    TRILANE_TRY(const std::string space, fields.required_text("name", "the name of the namespace"));
    TRILANE_TRY(const json::Value* tools, fields.array("tools", "tools"));
    for (std::size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
        const std::string tool_path = fmt::format("{}[{}]", fields.path_of("tools"), i);
        TRILANE_TRY(job::Tool tool, read_tool((*tools)[i], ToolShape::flat, tool_path));
        auto joined = names.add(space, tool.name);
        if (!joined) {
            return refuse(tool_path + ".name", json::Value(tool.name),
                          fmt::format("each function of the namespace {} once",
                                      json::dump(json::Value(space))));
        }
        tool.name = *std::move(joined);
        chat.tools.push_back(std::move(tool));
        if (chat.tools.size() > kToolsMax) {
            return fail(Fault::invalid,
                        "tools: got more than {} with those of namespaces; send "
                        "fewer",
                        kToolsMax);
        }
    }
    return {};
}

/// The name in {"type": "function", "function": {"name": …}}, or in {"type": …, "name": …}.
Result<std::string> read_name(const json::Value& value, const std::string& path) {
    constexpr std::string_view kWanted = "the name of one of the tools";
    if (!value.is_object()) {
        return refuse(path, value, "an object with type and function");
    }
    const Fields fields(value, path);
    TRILANE_TRY(const auto type, fields.text("type"));
    if (type && *type != "function") {
        return refuse(fields.path_of("type"), json::Value(*type), "\"function\"");
    }
    TRILANE_TRY(const json::Value* function, fields.object("function"));
    if (function == nullptr) {
        return fields.required_text("name", kWanted);
    }
    return Fields(*function, fields.path_of("function")).required_text("name", kWanted);
}

Status require_tool(const job::Chat& chat, const std::string& name, const std::string& path) {
    if (std::ranges::find(chat.tools, name, &job::Tool::name) == chat.tools.end()) {
        return refuse(path, json::Value(name), "the name of one of the tools");
    }
    return {};
}

/// {"mode": "auto" or "required", "tools": […]}: the others are left out.
Status read_allowed(const Fields& allowed, job::Chat& chat) {
    TRILANE_TRY(const auto mode, allowed.word("mode", {"auto", "required"}));
    TRILANE_TRY(const json::Value* tools, allowed.array("tools", "tools"));
    if (tools == nullptr || tools->empty()) {
        return fail(Fault::invalid, "{}: missing; send the tools that may be called",
                    allowed.path_of("tools"));
    }
    if (tools->size() > kToolsMax) {
        return fail(Fault::invalid, "{}: got {} tools; send at most {}", allowed.path_of("tools"),
                    tools->size(), kToolsMax);
    }
    std::vector<std::string> names;
    for (std::size_t i = 0; i < tools->size(); ++i) {
        const std::string path = fmt::format("{}[{}]", allowed.path_of("tools"), i);
        TRILANE_TRY(std::string name, read_name((*tools)[i], path));
        TRILANE_TRY_STATUS(require_tool(chat, name, path));
        names.push_back(std::move(name));
    }
    std::erase_if(chat.tools, [&](const job::Tool& tool) {
        return std::ranges::find(names, tool.name) == names.end();
    });
    chat.tool_choice.kind = mode == "required" ? ChoiceKind::required : ChoiceKind::automatic;
    return {};
}

Status read_choice_object(const json::Value& choice, const std::string& path, job::Chat& chat) {
    const Fields fields(choice, path);
    const json::Value* type = fields.find("type");
    if (type != nullptr && *type == "allowed_tools") {
        TRILANE_TRY(const json::Value* inner, fields.object("allowed_tools"));
        return inner == nullptr
                   ? read_allowed(fields, chat)
                   : read_allowed(Fields(*inner, fields.path_of("allowed_tools")), chat);
    }
    TRILANE_TRY(chat.tool_choice.name, read_name(choice, path));
    TRILANE_TRY_STATUS(require_tool(chat, chat.tool_choice.name, path));
    chat.tool_choice.kind = ChoiceKind::named;
    return {};
}

Status read_choice(const json::Value* choice, const std::string& path, job::Chat& chat) {
    if (choice == nullptr || *choice == "auto") {
        return {};
    }
    if (choice->is_object()) {
        return read_choice_object(*choice, path, chat);
    }
    if (*choice == "none") {
        // What must not be called need not be read by the model.
        chat.tools.clear();
        chat.tool_choice.kind = ChoiceKind::none;
        return {};
    }
    if (*choice != "required" && *choice != "any") {
        return refuse(path, *choice, kChoiceWanted);
    }
    if (chat.tools.empty()) {
        return fail(Fault::invalid, "{}: got {} without tools; send tools, too", path,
                    json::dump(*choice));
    }
    chat.tool_choice.kind = ChoiceKind::required;
    return {};
}

Status check_count(const json::Value* tools, std::string_view path) {
    if (tools != nullptr && tools->size() > kToolsMax) {
        return fail(Fault::invalid, "{}: got {} tools; send at most {}", path, tools->size(),
                    kToolsMax);
    }
    return {};
}

Status read_old_functions(const Fields& body, job::Chat& chat) {
    TRILANE_TRY(const json::Value* functions, body.array("functions", "functions"));
    TRILANE_TRY_STATUS(check_count(functions, "functions"));
    const json::Value* choice = body.find("function_call");
    if (functions == nullptr || functions->empty()) {
        if (choice != nullptr && *choice != "none" && *choice != "auto") {
            return refuse("function_call", *choice, "tools and tool_choice instead");
        }
        return {};
    }
    if (!chat.tools.empty()) {
        return fail(Fault::invalid, "functions: there are tools, too; send tools only");
    }
    for (std::size_t i = 0; i < functions->size(); ++i) {
        const std::string path = fmt::format("functions[{}]", i);
        if (!(*functions)[i].is_object()) {
            return refuse(path, (*functions)[i], "an object with name and parameters");
        }
        TRILANE_TRY(job::Tool tool, read_function(Fields((*functions)[i], path)));
        chat.tools.push_back(std::move(tool));
    }
    chat.parallel_tool_calls = false;  // an old answer has room for one
    return read_choice(choice, "function_call", chat);
}

}  // namespace

std::optional<std::string> SpacedNames::add(std::string_view space, std::string_view name) {
    const auto [slot, fresh] = joined_.try_emplace(Spaced{std::string(space), std::string(name)});
    if (!fresh) {
        return std::nullopt;
    }
    const std::string plain = plain_joined(space, name);
    slot->second = plain;
    // Ends: each number is another name, and at most kToolsMax are taken.
    for (std::size_t number = 2; !taken_.insert(slot->second).second; ++number) {
        slot->second = fmt::format("{}_{}", plain, number);
    }
    spaced_.emplace(slot->second, slot->first);
    return slot->second;
}

std::string SpacedNames::joined(std::string_view space, std::string_view name) const {
    const auto found = joined_.find(Spaced{std::string(space), std::string(name)});
    return found == joined_.end() ? plain_joined(space, name) : found->second;
}

const SpacedNames::Spaced* SpacedNames::find(std::string_view joined) const {
    const auto found = spaced_.find(joined);
    return found == spaced_.end() ? nullptr : &found->second;
}

bool has_old_functions(const Fields& body) {
    const json::Value* functions = body.find("functions");
    return functions != nullptr && functions->is_array() && !functions->empty();
}

Result<SpacedNames> read_tools(const Fields& body, ToolShape shape, job::Chat& chat) {
    TRILANE_TRY(const json::Value* tools, body.array("tools", "tools"));
    TRILANE_TRY_STATUS(check_count(tools, "tools"));
    SpacedNames names;
    if (shape == ToolShape::flat && tools != nullptr) {
        reserve_plain_names(*tools, names);
    }
    for (std::size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
        const std::string path = fmt::format("tools[{}]", i);
        if (shape == ToolShape::flat && is_namespace((*tools)[i])) {
            TRILANE_TRY_STATUS(read_namespace((*tools)[i], path, chat, names));
            continue;
        }
        TRILANE_TRY(job::Tool tool, read_tool((*tools)[i], shape, path));
        chat.tools.push_back(std::move(tool));
    }
    TRILANE_TRY(const auto parallel, body.boolean("parallel_tool_calls"));
    chat.parallel_tool_calls = parallel.value_or(true);
    if (shape == ToolShape::nested) {
        TRILANE_TRY_STATUS(read_old_functions(body, chat));
        if (has_old_functions(body)) {
            return names;
        }
    }
    TRILANE_TRY_STATUS(read_choice(body.find("tool_choice"), "tool_choice", chat));
    return names;
}

}  // namespace trilane::dialect::openai
