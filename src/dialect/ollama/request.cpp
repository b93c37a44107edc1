// Bodies of requests that are answered by a model.
#include <algorithm>

#include "dialect/body.h"
#include "dialect/ollama/answer.h"
#include "dialect/ollama/ollama.h"
#include "dialect/ollama/reading.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

/// A request while it is being read.
struct Reading {
    Endpoint endpoint = Endpoint::chat;
    job::Request request;
    Style style;
    Asking asking;
};

Status read_keep_alive(const Fields& body, Asking& asking) {
    const json::Value* value = body.find("keep_alive");
    if (value == nullptr || (value->is_string() && value->get_ref<const std::string&>().empty())) {
        return {};
    }
    if (!value->is_string() && !value->is_number()) {
        return refuse("keep_alive", *value, "seconds, or a text such as \"5m\" or \"-1\"");
    }
    auto duration =
        parse_duration(value->is_string() ? value->get<std::string>() : json::dump(*value));
    if (!duration) {
        return fail(Fault::invalid, "keep_alive: {}", duration.error().message);
    }
    asking.keep_alive = *duration;
    return {};
}

Status read_format(const Fields& body, job::Format& format) {
    const json::Value* value = body.find("format");
    if (value == nullptr || *value == "") {
        return {};
    }
    if (*value == "json") {
        format.kind = job::Format::Kind::json_object;
        return {};
    }
    if (!value->is_object()) {
        return refuse("format", *value, "\"json\" or a JSON schema");
    }
    format.kind = job::Format::Kind::json_schema;
    format.source = json::dump(*value);
    format.name = "answer";
    format.strict = true;
    return {};
}

Status read_logprobs(const Fields& body, Reading& reading) {
    TRILANE_TRY(const auto wanted, body.boolean("logprobs"));
    TRILANE_TRY(const auto top, body.integer("top_logprobs", 0, kTopLogprobsMax));
    if (wanted.value_or(false) || top.value_or(0) > 0) {
        reading.request.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
        reading.style.logprobs = true;
    }
    return {};
}

/// What chats and texts share.
Status read_shared(const Fields& body, const Preset& preset, Reading& reading) {
    TRILANE_TRY(const auto stream, body.boolean("stream"));
    reading.style.stream = stream.value_or(true);
    TRILANE_TRY_STATUS(read_format(body, reading.request.format));
    TRILANE_TRY_STATUS(read_logprobs(body, reading));
    TRILANE_TRY(const json::Value options, merged_options(body, preset.parameters));
    TRILANE_TRY(reading.asking.context_tokens, read_options(options, reading.request));
    return {};
}

Status read_chat_ask(const Fields& body, const Preset& preset, Reading& reading) {
    TRILANE_TRY_STATUS(read_shared(body, preset, reading));
    TRILANE_TRY(job::Chat chat, read_chat(body, preset.system));
    reading.asking.load_only = chat.messages.empty();
    reading.request.ask = std::move(chat);
    return {};
}

/// A prompt that is rendered by the model's template: a conversation of one turn, after those that
/// "context" brings.
Result<job::Chat> read_prompt_as_chat(const Fields& body, const std::string& prompt,
                                      const Preset& preset) {
    job::Chat chat;
    TRILANE_TRY(chat.messages, read_context(body));
    TRILANE_TRY(std::optional<std::string> system, body.text("system"));
    if (!system && chat.messages.empty()) {
        system = preset.system;
    }
    if (system && !system->empty()) {
        std::erase_if(chat.messages,
                      [](const job::Message& one) { return one.role == job::Role::system; });
        chat.messages.insert(chat.messages.begin(), {job::Role::system, *system, {}, {}});
    }
    job::Message& user = chat.messages.emplace_back();
    user.content = prompt;
    TRILANE_TRY_STATUS(read_images(body, user));
    TRILANE_TRY_STATUS(read_think(body, chat));
    return chat;
}

/// Fields of /api/generate that say how the prompt is to be rendered, which only one way can be.
Status check_raw(const Fields& body, bool raw, bool infill) {
    TRILANE_TRY(const auto form, body.text("template"));
    if (!form.value_or("").empty()) {
        return fail(Fault::invalid,
                    "template: another template than the model's is not supported; send raw: true "
                    "with the whole prompt instead");
    }
    for (const char* name : {"system", "context", "images"}) {
        const json::Value* value = body.find(name);
        if ((raw || infill) && value != nullptr && !value->empty() && *value != "") {
            return fail(Fault::invalid, "{}: does not go with {}; leave one of them out", name,
                        raw ? "raw" : "suffix");
        }
    }
    return {};
}

Status read_generate_ask(const Fields& body, const Preset& preset, Reading& reading) {
    TRILANE_TRY_STATUS(read_shared(body, preset, reading));
    TRILANE_TRY(const auto given, body.text("prompt"));
    TRILANE_TRY(const auto suffix, body.text("suffix"));
    TRILANE_TRY(const auto raw, body.boolean("raw"));
    const std::string prompt = given.value_or("");
    const bool infill = !suffix.value_or("").empty();
    TRILANE_TRY_STATUS(check_raw(body, raw.value_or(false), infill));
    const json::Value* images = body.find("images");
    if (prompt.empty() && !infill && (images == nullptr || images->empty())) {
        reading.asking.load_only = true;
        return {};
    }
    const bool plain = !preset.abilities.chat && preset.abilities.complete;
    if (raw.value_or(false) || infill || plain) {
        reading.request.ask = job::Completion{prompt, false, suffix.value_or("")};
        return {};
    }
    TRILANE_TRY(job::Chat chat, read_prompt_as_chat(body, prompt, preset));
    reading.style.conversation = chat.messages;
    for (job::Message& message : reading.style.conversation) {
        message.media.clear();
    }
    reading.request.ask = std::move(chat);
    return {};
}

Status read_embed_ask(const Fields& body, Reading& reading) {
    job::Embed embed;
    TRILANE_TRY(const auto truncate, body.boolean("truncate"));
    embed.truncate = truncate.value_or(true);
    TRILANE_TRY(const auto dimensions, body.integer("dimensions", 0, 1 << 20));
    if (dimensions.value_or(0) > 0) {
        embed.dimensions = static_cast<std::uint32_t>(*dimensions);
    }
    const bool old = reading.endpoint == Endpoint::embeddings;
    const std::string_view name = old ? "prompt" : "input";
    const json::Value* input = body.find(name);
    if (input != nullptr && input->is_string()) {
        embed.inputs.emplace_back(input->get<std::string>());
    } else if (input != nullptr && input->is_array() && !old) {
        if (input->size() > kInputsMax) {
            return fail(Fault::invalid, "input: got {} texts; send at most {}", input->size(),
                        kInputsMax);
        }
        for (std::size_t i = 0; i < input->size(); ++i) {
            if (!(*input)[i].is_string()) {
                return refuse(fmt::format("input[{}]", i), (*input)[i], "a text");
            }
            embed.inputs.emplace_back((*input)[i].get<std::string>());
        }
    } else if (input != nullptr) {
        return refuse(name, *input, old ? "a text" : "a text or an array of texts");
    }
    const bool empty =
        embed.inputs.empty() || (old && std::get<std::string>(embed.inputs.front()).empty());
    reading.asking.load_only = empty;
    reading.style.stream = false;
    reading.request.ask = std::move(embed);
    TRILANE_TRY(const json::Value options, merged_options(body, {}));
    job::Request ignored;
    TRILANE_TRY(reading.asking.context_tokens, read_options(options, ignored));
    return {};
}

Status read_ask(const Fields& body, const Preset& preset, Reading& reading) {
    switch (reading.endpoint) {
        case Endpoint::chat:
            return read_chat_ask(body, preset, reading);
        case Endpoint::generate:
            return read_generate_ask(body, preset, reading);
        case Endpoint::embed:
        case Endpoint::embeddings:
            break;
    }
    return read_embed_ask(body, reading);
}

}  // namespace

std::string bare_name(std::string_view name) {
    constexpr std::string_view kLatest = ":latest";
    if (name.size() > kLatest.size() && name.ends_with(kLatest)) {
        name.remove_suffix(kLatest.size());
    }
    return std::string(name);
}

std::string tagged_name(std::string_view id) {
    const std::size_t slash = id.rfind('/');
    const bool tagged =
        id.find(':', slash == std::string_view::npos ? 0 : slash) != std::string_view::npos;
    return tagged ? std::string(id) : std::string(id) + ":latest";
}

Result<std::string> read_model(const Fields& body) {
    for (const std::string_view name : {"model", "name"}) {
        TRILANE_TRY(const auto text, body.text(name));
        if (text && !text->empty()) {
            return *text;
        }
    }
    return fail(Fault::invalid,
                "model: missing; send the name of a model that GET /api/tags lists");
}

Result<Asking> ask(Endpoint endpoint, std::string_view body, const Context& context,
                   const Lookup& lookup, const Clock& clock) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    Reading reading;
    reading.endpoint = endpoint;
    reading.style.endpoint = endpoint;
    reading.style.clock = clock;
    reading.style.began_ns = clock.steady_ns();
    TRILANE_TRY(reading.style.model, read_model(fields));
    reading.asking.named = reading.style.model;
    const std::string model = bare_name(reading.style.model);
    TRILANE_TRY(const Preset preset, lookup(model));
    reading.request.id = "ollama-" + context.response_id_suffix;
    reading.request.model = model;
    TRILANE_TRY_STATUS(read_keep_alive(fields, reading.asking));
    TRILANE_TRY_STATUS(read_ask(fields, preset, reading));
    Asking asking = std::move(reading.asking);
    asking.asked.model = model;
    asking.asked.stream = reading.style.stream;
    if (!asking.load_only) {
        asking.asked.writer = writer_of(std::move(reading.style));
        asking.asked.jobs.push_back(std::move(reading.request));
    }
    return asking;
}

}  // namespace trilane::dialect::ollama
