#include "reply/style.h"

#include <algorithm>
#include <array>
#include <utility>

#include "reply/marks.h"

namespace trilane::reply {
namespace {

constexpr std::string_view kDeepseekCalls = "<\uFF5Ctool\u2581calls\u2581begin\uFF5C>";
constexpr std::string_view kDeepseekSeparator = "<\uFF5Ctool\u2581sep\uFF5C>";
constexpr std::string_view kDeepseekCallEnd = "<\uFF5Ctool\u2581call\u2581end\uFF5C>";
constexpr std::string_view kDeepseekHead =
    "<\uFF5Ctool\u2581call\u2581begin\uFF5C>function<\uFF5Ctool\u2581sep\uFF5C>";
constexpr std::string_view kDeepseekTail = "\n```<\uFF5Ctool\u2581call\u2581end\uFF5C>";
constexpr std::string_view kDeepseekCallsEnd = "<\uFF5Ctool\u2581calls\u2581end\uFF5C>";

/// Pairs of marks around thoughts. The first that the template knows is the model's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kThinkMarks{{
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<seed:think>", "</seed:think>"},
    {"<thinking>", "</thinking>"},
    {"<reasoning>", "</reasoning>"},
}};

Calls calls_of(std::string_view chat_template,
               const std::function<bool(std::string_view)>& has_token) {
    const auto has = [&](std::string_view text) {
        return chat_template.find(text) != std::string_view::npos;
    };
    if (has(kDeepseekCalls)) {
        return Calls::deepseek;
    }
    if (has("[TOOL_CALLS]")) {
        return has("[ARGS]") ? Calls::mistral_named : Calls::mistral;
    }
    if (has("<function=") && has("<parameter=")) {
        return Calls::xml;
    }
    if (has("<tool_call>")) {
        return Calls::hermes;
    }
    if (has("<|tool_call|>") || has("functools")) {
        return Calls::phi;
    }
    if (has("<|python_tag|>") || (has("\"parameters\"") && has("ipython")) ||
        (has("tools") && has_token("<|python_tag|>"))) {
        return Calls::llama;
    }
    return Calls::hermes;
}

}  // namespace

Style style_of(std::string_view chat_template,
               const std::function<bool(std::string_view)>& has_token) {
    Style style;
    style.calls = calls_of(chat_template, has_token);
    const auto known = [&](const auto& speaks_of) {
        const auto marks = std::ranges::find_if(kThinkMarks, speaks_of);
        if (marks == kThinkMarks.end()) {
            return false;
        }
        style.think_open = marks->first;
        style.think_close = marks->second;
        return true;
    };
    style.thinks = known([&](const auto& marks) {
        return chat_template.find(marks.second) != std::string_view::npos ||
               chat_template.find(marks.first) != std::string_view::npos;
    });
    if (!style.thinks) {
        known([&](const auto& marks) { return has_token(marks.first); });
    }
    return style;
}

std::vector<Opener> openers(Calls calls) {
    switch (calls) {
        case Calls::hermes:
            return {{"<tool_call>"}};
        case Calls::xml:
            return {{"<tool_call>"}, {"<function=", 10}};
        case Calls::llama:
            return {{"<|python_tag|>"}, {"<function=", 10}};
        case Calls::mistral:
        case Calls::mistral_named:
            return {{"[TOOL_CALLS]"}};
        case Calls::phi:
            return {{"<|tool_call|>"}, {"functools[", 1}};
        case Calls::deepseek:
            break;
    }
    return {{kDeepseekCalls}, {kDeepseekCall, kDeepseekCall.size()}};
}

std::vector<std::string_view> closers(Calls calls) {
    switch (calls) {
        case Calls::hermes:
            return {"</tool_call>"};
        case Calls::xml:
            return {"</tool_call>", "</function>"};
        case Calls::llama:
            return {"</function>"};
        case Calls::mistral:
        case Calls::mistral_named:
            return {};
        case Calls::phi:
            return {"<|/tool_call|>"};
        case Calls::deepseek:
            break;
    }
    return {kDeepseekCallsEnd, kDeepseekCallEnd};
}

std::vector<std::string_view> markers(const Style& style) {
    std::vector<std::string_view> all = closers(style.calls);
    for (const Opener& opener : openers(style.calls)) {
        all.push_back(opener.text);
    }
    if (style.calls == Calls::mistral_named) {
        all.insert(all.end(), {"[ARGS]", "[CALL_ID]"});
    }
    if (style.calls == Calls::deepseek) {
        all.push_back(kDeepseekSeparator);
    }
    all.insert(all.end(), {style.think_open, style.think_close});
    return all;
}

CallFrame call_frame(Calls calls) {
    constexpr std::string_view kName = "{\"name\": \"";
    constexpr std::string_view kArguments = "\", \"arguments\": ";
    switch (calls) {
        case Calls::hermes:
            break;
        case Calls::xml:
            return {"", "<tool_call>\n<function=", ">\n", "\n</function>\n</tool_call>", "\n", ""};
        case Calls::llama:
            return {"", kName, "\", \"parameters\": ", "}", "; ", ""};
        case Calls::mistral:
            return {"[TOOL_CALLS][", kName, kArguments, "}", ", ", "]"};
        case Calls::mistral_named:
            return {"", "[TOOL_CALLS]", "[ARGS]", "", "", ""};
        case Calls::phi:
            return {"<|tool_call|>[", kName, kArguments, "}", ", ", "]<|/tool_call|>"};
        case Calls::deepseek:
            return {kDeepseekCalls, kDeepseekHead, "\n```json\n",
                    kDeepseekTail,  "\n",          kDeepseekCallsEnd};
    }
    return {"", "<tool_call>\n{\"name\": \"", kArguments, "}\n</tool_call>", "\n", ""};
}

}  // namespace trilane::reply
