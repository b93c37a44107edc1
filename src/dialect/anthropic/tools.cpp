#include "dialect/anthropic/tools.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "dialect/anthropic/anthropic.h"
#include "json/json.h"

namespace trilane::dialect::anthropic {
namespace {

/// The beginning of the vendor's tools that find deferred ones.
constexpr std::string_view kSearchPrefix = "tool_search_tool_";

/// A tool whose name alone is sent, because the vendor's models know it: what others must be told.
/// It runs at the client.
struct KnownTool {
    std::string_view type_prefix;
    std::string_view description;
    std::string_view schema;
};

constexpr std::array<KnownTool, 3> kKnownTools = {{
    {"bash_", "Run a command in a shell that keeps its state between calls.", R"({
  "type": "object",
  "properties": {
    "command": {"type": "string", "description": "The command to run."},
    "restart": {"type": "boolean", "description": "true starts the shell anew, without a command."}
  }
})"},
    {"text_editor_", "View, create and change text files.", R"({
  "type": "object",
  "properties": {
    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
    "path": {"type": "string"},
    "view_range": {"type": "array", "items": {"type": "integer"}, "description": "For view: lines."},
    "file_text": {"type": "string", "description": "For create: the whole text."},
    "old_str": {"type": "string", "description": "For str_replace: what stands there only once."},
    "new_str": {"type": "string", "description": "For str_replace: what comes instead."},
    "insert_line": {"type": "integer", "description": "For insert: the line before the new text."},
    "insert_text": {"type": "string", "description": "For insert: the new text."}
  },
  "required": ["command", "path"]
})"},
    {"memory_", "Keep notes for later in text files below /memories.", R"({
  "type": "object",
  "properties": {
    "command": {
      "type": "string",
      "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]
    },
    "path": {"type": "string"},
    "view_range": {"type": "array", "items": {"type": "integer"}, "description": "For view: lines."},
    "file_text": {"type": "string", "description": "For create: the whole text."},
    "old_str": {"type": "string", "description": "For str_replace: what stands there only once."},
    "new_str": {"type": "string", "description": "For str_replace: what comes instead."},
    "insert_line": {"type": "integer", "description": "For insert: the line before the new text."},
    "insert_text": {"type": "string", "description": "For insert: the new text."},
    "old_path": {"type": "string", "description": "For rename."},
    "new_path": {"type": "string", "description": "For rename."}
  },
  "required": ["command"]
})"},
}};

Result<job::Tool> read_known_tool(const Fields& fields, std::string_view type) {
    const auto known = std::ranges::find_if(
        kKnownTools, [&](const KnownTool& tool) { return type.starts_with(tool.type_prefix); });
    if (known == kKnownTools.end()) {
        return fail(Fault::invalid,
                    "{}: got \"{}\", a tool of the vendor that this server does not have; leave "
                    "it out, or send a tool of your own with name and input_schema",
                    fields.path_of("type"), type);
    }
    job::Tool tool;
    TRILANE_TRY(tool.name, fields.required_text("name", "the name of the tool"));
    tool.description = known->description;
    tool.parameters = known->schema;
    return tool;
}

/// Whether the tool is to be found before it is shown.
bool is_deferred(const json::Value& value) {
    return value.is_object() && value.value("defer_loading", json::Value()) == true;
}

bool is_search(const json::Value& value) {
    if (!value.is_object()) {
        return false;
    }
    const json::Value type = value.value("type", json::Value());
    return type.is_string() && type.get_ref<const std::string&>().starts_with(kSearchPrefix);
}

Status read_tool_list(const json::Value& tools, const ToolChanges& changes, job::Chat& chat) {
    if (tools.size() > kToolsMax) {
        return fail(Fault::invalid, "tools: got {} tools; send at most {}", tools.size(),
                    kToolsMax);
    }
    // Nobody here searches for the model: then it sees all there are.
    const bool show_all = std::ranges::any_of(tools, is_search);
    for (std::size_t i = 0; i < tools.size(); ++i) {
        TRILANE_TRY(std::optional<job::Tool> tool,
                    read_tool(tools[i], fmt::format("tools[{}]", i)));
        if (!tool) {
            continue;
        }
        const auto changed = changes.shown.find(tool->name);
        const bool shown =
            changed != changes.shown.end() ? changed->second : show_all || !is_deferred(tools[i]);
        if (shown) {
            chat.tools.push_back(*std::move(tool));
        }
    }
    return {};
}

void add_tools(const ToolChanges& changes, job::Chat& chat) {
    for (const job::Tool& added : changes.added) {
        const auto same = std::ranges::find(chat.tools, added.name, &job::Tool::name);
        const auto shown = changes.shown.find(added.name);
        if (shown != changes.shown.end() && !shown->second) {
            continue;
        }
        if (same != chat.tools.end()) {
            *same = added;
        } else {
            chat.tools.push_back(added);
        }
    }
}

Status read_choice(const Fields& body, job::Chat& chat) {
    TRILANE_TRY(const json::Value* value, body.object("tool_choice"));
    if (value == nullptr) {
        return {};
    }
    const Fields choice(*value, "tool_choice");
    constexpr std::string_view kTypes = R"("auto", "any", "tool" or "none")";
    TRILANE_TRY(const std::string type, choice.required_text("type", kTypes));
    TRILANE_TRY(const std::optional<bool> single, choice.boolean("disable_parallel_tool_use"));
    chat.parallel_tool_calls = !single.value_or(false);
    using Kind = job::ToolChoice::Kind;
    if (type == "none") {
        chat.tool_choice.kind = Kind::none;
        chat.tools.clear();
    } else if (type == "any") {
        chat.tool_choice.kind = Kind::required;
    } else if (type == "tool") {
        chat.tool_choice.kind = Kind::named;
        TRILANE_TRY(chat.tool_choice.name,
                    choice.required_text("name", "the name of one of the tools"));
        if (std::ranges::find(chat.tools, chat.tool_choice.name, &job::Tool::name) ==
            chat.tools.end()) {
            return fail(Fault::invalid, "tool_choice.name: no tool is called \"{}\"",
                        chat.tool_choice.name);
        }
    } else if (type != "auto") {
        return refuse("tool_choice.type", json::Value(type), kTypes);
    }
    if (chat.tool_choice.kind == Kind::required && chat.tools.empty()) {
        return fail(Fault::invalid, "tool_choice: a call is asked for, and there are no tools");
    }
    return {};
}

}  // namespace

Result<std::optional<job::Tool>> read_tool(const json::Value& value, const std::string& path) {
    if (!value.is_object()) {
        return refuse(path, value, "an object with name, description and input_schema");
    }
    if (is_search(value)) {
        return std::nullopt;
    }
    const Fields fields(value, path);
    TRILANE_TRY(const std::optional<std::string> type, fields.text("type"));
    if (type.value_or("custom") != "custom") {
        TRILANE_TRY(job::Tool known, read_known_tool(fields, *type));
        return known;
    }
    job::Tool tool;
    TRILANE_TRY(tool.name, fields.required_text("name", "the name of the tool"));
    TRILANE_TRY(std::optional<std::string> description, fields.text("description"));
    tool.description = std::move(description).value_or("");
    TRILANE_TRY(const json::Value* schema, fields.object("input_schema"));
    if (schema == nullptr) {
        return fail(Fault::invalid, "{}: missing; send a JSON schema of type object",
                    fields.path_of("input_schema"));
    }
    tool.parameters = json::dump(*schema);
    return tool;
}

Status read_tools(const Fields& body, const ToolChanges& changes, job::Chat& chat) {
    TRILANE_TRY(const json::Value* tools, body.array("tools", "tools"));
    if (tools != nullptr) {
        TRILANE_TRY_STATUS(read_tool_list(*tools, changes, chat));
    }
    add_tools(changes, chat);
    return read_choice(body, chat);
}

}  // namespace trilane::dialect::anthropic
