#include "lane/native/prompt.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/utf8.h"
#include "gguf/gguf.h"
#include "json/json.h"

namespace trilane::lane {
namespace {

// Two characters that Unicode keeps out of texts, so that templates pass them on untouched.
/// Cuts the names of control tokens in foreign text.
constexpr std::string_view kShield = "\xEF\xB7\x90";
/// Stands where the answer goes on inside the last message.
constexpr std::string_view kHere = "\xEF\xB7\x91";

Result<chat::Template> compile(const gguf::File& file) {
    const auto source = file.string("tokenizer.chat_template");
    if (!source.has_value()) {
        return fail(Fault::invalid,
                    "this model has no chat template; use /v1/completions with the prompt as the "
                    "model expects it");
    }
    auto compiled = chat::Template::compile(*source);
    if (!compiled) {
        return tl::unexpected(
            std::move(compiled).error().because("the model's chat template cannot be used"));
    }
    return compiled;
}

std::string entry_text(const token::Tokenizer& tokenizer, std::optional<token::Id> id) {
    return id.has_value() ? std::string(tokenizer.entry(*id)) : std::string();
}

void erase_all(std::string& text, std::string_view what) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at)) {
        text.erase(at, what.size());
    }
}

std::string_view without_trailing_space(std::string_view text) {
    const std::size_t last = text.find_last_not_of(" \t\r\n");
    return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

/// The client has asked for an answer without thoughts.
bool wants_no_thoughts(const job::Chat& chat) {
    const auto found = chat.template_variables.find("enable_thinking");
    return found != chat.template_variables.end() && found->second == "false";
}

/// Pictures and sounds have no way into this engine.
Status refuse_media(const job::Chat& chat) {
    for (std::size_t i = 0; i < chat.messages.size(); ++i) {
        if (!chat.messages[i].media.empty()) {
            const bool is_image = chat.messages[i].media.front().kind == job::Media::Kind::image;
            return fail(Fault::invalid,
                        "messages[{}]: this model reads text and cannot {}; leave the {} out, or "
                        "ask a model that can",
                        i, is_image ? "see" : "hear", is_image ? "picture" : "sound");
        }
    }
    return {};
}

}  // namespace

PromptWriter::PromptWriter(const gguf::File& file,
                           std::shared_ptr<const token::Tokenizer> tokenizer,
                           std::uint32_t context_tokens)
    : tokenizer_(std::move(tokenizer)),
      template_(compile(file)),
      texts_{entry_text(*tokenizer_, tokenizer_->bos()),
             entry_text(*tokenizer_, tokenizer_->eos())},
      context_tokens_(context_tokens) {
    std::unordered_set<std::string_view> marks;
    for (std::size_t i = 0; i < tokenizer_->size(); ++i) {
        const auto id = static_cast<token::Id>(i);
        const std::string_view entry = tokenizer_->entry(id);
        token_bytes_max_ = std::max(token_bytes_max_, entry.size());
        if (tokenizer_->is_control(id) && entry.size() >= 2) {
            control_names_.emplace_back(entry);
        }
        if (entry.starts_with('<') || entry.starts_with('[')) {
            marks.insert(entry);
        }
    }
    if (template_) {
        style_ = reply::style_of(*file.string("tokenizer.chat_template"),
                                 [&](std::string_view name) { return marks.contains(name); });
        traits_ = traits_of(*template_, texts_);
    }
    fill_ = fill_tokens_of(file, *tokenizer_);
}

/// A text that could not fit if every token of it were the longest is refused before it costs time.
Status PromptWriter::check_length(std::string_view text) const {
    if (text.size() / token_bytes_max_ > context_tokens_) {
        return fail(Fault::invalid,
                    "the prompt has {} bytes, more than {} tokens of context can hold; shorten it",
                    text.size(), context_tokens_);
    }
    return {};
}

/// `text` with a mark inside every name of a control token, where encode_shielded() will cut.
std::string PromptWriter::shielded(std::string_view text) const {
    std::string out(text);
    erase_all(out, kShield);
    erase_all(out, kHere);
    for (const std::string& name : control_names_) {
        // Behind the first character of the name.
        std::size_t inside = 1;
        while (inside < name.size() &&
               (static_cast<unsigned char>(name[inside]) & 0xC0U) == 0x80U) {
            ++inside;
        }
        for (std::size_t at = out.find(name); at != std::string::npos; at = out.find(name, at)) {
            out.insert(at + inside, kShield);
        }
    }
    return out;
}

/// The tokens of a rendered chat. Cut at the marks, so that no piece holds a whole name.
std::vector<token::Id> PromptWriter::encode_shielded(std::string_view text) const {
    std::vector<token::Id> ids;
    while (true) {
        const std::size_t mark = std::min(text.find(kShield), text.size());
        const auto piece =
            tokenizer_->encode(text.substr(0, mark), {.add_special = false, .parse_special = true});
        ids.insert(ids.end(), piece.begin(), piece.end());
        if (mark == text.size()) {
            return ids;
        }
        text.remove_prefix(mark + kShield.size());
    }
}

Result<std::string> PromptWriter::render(const job::Chat& chat) const {
    if (!template_) {
        return tl::unexpected(template_.error());
    }
    return template_->render(chat_values(chat, traits_, style_.calls, texts_,
                                         [this](std::string_view text) { return shielded(text); }));
}

/// The conversation up to the end of its last message, without what ends a turn.
Result<std::string> PromptWriter::render_continued(job::Chat chat) const {
    if (chat.messages.empty() || chat.messages.back().role != job::Role::assistant ||
        !chat.messages.back().tool_calls.empty()) {
        return fail(Fault::invalid,
                    "only a last message of the assistant without tool calls can be continued");
    }
    std::string& content = chat.messages.back().content;
    erase_all(content, kHere);
    content += kHere;
    chat.template_variables["add_generation_prompt"] = "false";
    TRILANE_TRY(std::string text, render(chat));
    const std::size_t here = text.rfind(kHere);
    if (here == std::string::npos) {
        return fail(Fault::invalid,
                    "this model's chat template does not show the assistant's last message, so it "
                    "cannot be continued");
    }
    text.resize(here);
    return text;
}

Result<Prompt> PromptWriter::chat(const job::Chat& chat) const {
    TRILANE_TRY_STATUS(refuse_media(chat));
    job::Chat asked = chat;
    if (asked.tool_choice.kind == job::ToolChoice::Kind::none) {
        asked.tools.clear();  // what is not seen is not called
    }
    auto rendered = asked.continue_last ? render_continued(asked) : render(asked);
    if (!rendered) {
        return tl::unexpected(std::move(rendered).error().because("messages"));
    }
    std::string& text = *rendered;
    Prompt prompt;
    if (asked.continue_last) {
        const std::string_view last = asked.messages.back().content;
        const std::size_t open = last.rfind(style_.think_open);
        const std::size_t close = last.rfind(style_.think_close);
        prompt.in_thought =
            open != std::string_view::npos && (close == std::string_view::npos || close < open);
        prompt.thoughts_are_over = !prompt.in_thought && !without_trailing_space(last).empty();
    } else {
        prompt.in_thought = without_trailing_space(text).ends_with(style_.think_open);
        prompt.thoughts_are_over = without_trailing_space(text).ends_with(style_.think_close);
        if (style_.thinks && wants_no_thoughts(asked) && !prompt.thoughts_are_over) {
            // The template does not know how; so the thoughts are there already, and empty.
            text += prompt.in_thought ? "" : style_.think_open + "\n";
            text += "\n" + style_.think_close + "\n\n";
            prompt.in_thought = false;
            prompt.thoughts_are_over = true;
        }
    }
    TRILANE_TRY_STATUS(check_length(text));
    prompt.ids = encode_shielded(text);
    // The answer follows, so nothing is put at the end; and templates that write the
    // beginning-of-text token themselves must not get a second one.
    const auto bos = tokenizer_->adds_bos() ? tokenizer_->bos() : std::nullopt;
    if (bos.has_value() && (prompt.ids.empty() || prompt.ids.front() != *bos)) {
        prompt.ids.insert(prompt.ids.begin(), *bos);
    }
    return prompt;
}

Result<std::vector<token::Id>> PromptWriter::text(std::string_view text,
                                                  token::EncodeOptions options) const {
    TRILANE_TRY_STATUS(check_length(text));
    return tokenizer_->encode(text, options);
}

Result<Prompt> PromptWriter::completion(const job::Completion& completion) const {
    const bool fills = !completion.suffix.empty();
    if (fills && !fill_.has_value()) {
        return fail(Fault::invalid,
                    "suffix: this model was not made to fill in the middle; leave the suffix out, "
                    "or ask a model of code that can");
    }
    if (fills && completion.echo) {
        return fail(Fault::invalid, "echo: cannot be had together with a suffix; leave one out");
    }
    Prompt prompt;
    if (const auto* ids = std::get_if<std::vector<std::int32_t>>(&completion.prompt)) {
        prompt.ids.assign(ids->begin(), ids->end());
    } else {
        TRILANE_TRY(prompt.ids, text(std::get<std::string>(completion.prompt),
                                     {.add_special = !fills, .parse_special = true}));
        if (prompt.ids.empty() && !fills && tokenizer_->bos().has_value()) {
            prompt.ids.push_back(*tokenizer_->bos());  // an empty prompt starts a text
        }
    }
    if (fills) {
        TRILANE_TRY(const auto behind,
                    text(completion.suffix, {.add_special = false, .parse_special = true}));
        prompt.ids.insert(prompt.ids.begin(), fill_->before);
        if (tokenizer_->adds_bos() && tokenizer_->bos()) {
            prompt.ids.insert(prompt.ids.begin(), *tokenizer_->bos());
        }
        prompt.ids.push_back(fill_->behind);
        prompt.ids.insert(prompt.ids.end(), behind.begin(), behind.end());
        prompt.ids.push_back(fill_->middle);
    }
    return prompt;
}

}  // namespace trilane::lane
