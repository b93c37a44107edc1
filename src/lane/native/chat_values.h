// ChatValues: a job's conversation → the variables a chat template is rendered with, in the shape
// that this template wants. What it wants is found out by rendering small conversations with it
// once, when the model is loaded; what it cannot say at all (tools, their calls and results, system
// messages) is said in words that every model reads.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "chat/template.h"
#include "job/chat.h"
#include "json/fwd.h"
#include "reply/style.h"

namespace trilane::lane {

/// Texts of tokens that templates name.
struct SpecialTexts {
    std::string bos;
    std::string eos;
};

/// What a template does with a conversation.
struct TemplateTraits {
    bool content_in_parts = false;   ///< content must be [{"type": "text", "text": …}]
    bool shows_system = true;        ///< knows messages of the system
    bool shows_tools = false;        ///< lists the tools that are offered
    bool tools_need_system = false;  ///< … but only beside a message of the system
    bool shows_calls = false;        ///< knows assistants that called
    bool one_call_each = false;      ///< … one tool per message
    bool arguments_as_text = false;  ///< wants arguments as JSON text, not as an object
    bool null_content = false;       ///< wants content null where there are only calls
    bool shows_results = false;      ///< knows messages of tools
    bool short_ids = false;          ///< wants ids of nine letters and digits
};

TemplateTraits traits_of(const chat::Template& chat_template, const SpecialTexts& texts);

/// What foreign text must go through before it stands in a prompt.
using Shield = std::function<std::string(std::string_view)>;

/// The variables of one rendering: messages, tools, the client's own, and the rest that templates
/// expect. `calls` is how this model writes calls, for templates that cannot.
/// **Errors:** none; a template may still refuse what it gets.
json::Value chat_values(const job::Chat& chat, const TemplateTraits& traits, reply::Calls calls,
                        const SpecialTexts& texts, const Shield& shield);

/// JSON text as a value; text that is no JSON stays a string.
json::Value value_of(const std::string& text);

}  // namespace trilane::lane
