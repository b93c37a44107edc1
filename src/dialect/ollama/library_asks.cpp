#include "dialect/ollama/library_asks.h"

#include "base/utf8.h"
#include "dialect/body.h"
#include "dialect/fields.h"
#include "dialect/ollama/ollama.h"
#include "dialect/ollama/reading.h"
#include "json/json.h"

namespace trilane::dialect::ollama {
namespace {

constexpr std::size_t kDigestShown = 12;

/// A name under which a model can be kept.
Result<std::string> checked_name(const std::string& name, std::string_view field) {
    std::string bare = bare_name(name);
    bool good = !bare.empty() && bare.size() <= kNameBytesMax && bare.front() != '/';
    for (const char c : bare) {
        good = good && static_cast<unsigned char>(c) > ' ' && c != '\x7F' && c != '\\' && c != '"';
    }
    if (!good) {
        return fail(Fault::invalid,
                    "{}: got \"{}\"; send a name without spaces, quotes and backslashes", field,
                    utf8_clipped(name, 64));
    }
    return bare;
}

/// The one GGUF of "files": {"model.gguf": "sha256:…"}.
Result<std::string> read_files(const Fields& body) {
    TRILANE_TRY(const json::Value* files, body.object("files"));
    if (files == nullptr || files->empty()) {
        return std::string();
    }
    if (files->size() != 1 || !files->front().is_string()) {
        return fail(Fault::invalid,
                    "files: send the one GGUF file that the model is, as {{\"model.gguf\": "
                    "\"sha256:…\"}}");
    }
    return files->front().get<std::string>();
}

Result<std::string> read_licence(const Fields& body) {
    const json::Value* licence = body.find("license");
    std::string text;
    if (licence != nullptr && licence->is_string()) {
        return licence->get<std::string>();
    }
    if (licence != nullptr && licence->is_array()) {
        for (const json::Value& one : *licence) {
            text += one.is_string() ? (text.empty() ? "" : "\n") + one.get<std::string>() : "";
        }
        return text;
    }
    return licence == nullptr ? Result<std::string>(text)
                              : refuse("license", *licence, "a text or an array of texts");
}

Status refuse_unsupported(const Fields& body) {
    struct Field {
        const char* name;
        const char* why;
    };
    constexpr Field kFields[] = {
        {"template", "the model's own template is used; leave it out"},
        {"adapters", "adapters are not supported; merge them into the GGUF file"},
        {"messages", "conversations to begin with are not kept; send them with each chat"},
        {"quantize", "quantizing is not done here; pull the quantization that you want"},
        {"modelfile", "Modelfiles are the client's to read; send from, system and parameters"},
    };
    for (const Field& field : kFields) {
        const json::Value* value = body.find(field.name);
        if (value != nullptr && !value->empty() && *value != "") {
            return fail(Fault::invalid, "{}: {}", field.name, field.why);
        }
    }
    return {};
}

}  // namespace

Result<NameAsk> read_name_ask(std::string_view body) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    NameAsk ask;
    TRILANE_TRY(const std::string model, read_model(fields));
    TRILANE_TRY(ask.model, checked_name(model, "model"));
    TRILANE_TRY(const auto stream, fields.boolean("stream"));
    ask.stream = stream.value_or(true);
    TRILANE_TRY(const auto verbose, fields.boolean("verbose"));
    ask.verbose = verbose.value_or(false);
    return ask;
}

Result<CopyAsk> read_copy_ask(std::string_view body) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    CopyAsk ask;
    TRILANE_TRY(const std::string source, fields.required_text("source", "the name of a model"));
    TRILANE_TRY(ask.source, checked_name(source, "source"));
    TRILANE_TRY(const std::string name, fields.required_text("destination", "its further name"));
    TRILANE_TRY(ask.destination, checked_name(name, "destination"));
    return ask;
}

Result<CreateAsk> read_create_ask(std::string_view body) {
    TRILANE_TRY(const json::Value value, read_object(body));
    const Fields fields(value, "");
    CreateAsk ask;
    TRILANE_TRY(const std::string model, read_model(fields));
    TRILANE_TRY(ask.model, checked_name(model, "model"));
    TRILANE_TRY_STATUS(refuse_unsupported(fields));
    TRILANE_TRY(const auto from, fields.text("from"));
    if (!from.value_or("").empty()) {
        TRILANE_TRY(ask.from, checked_name(*from, "from"));
    }
    TRILANE_TRY(ask.digest, read_files(fields));
    if (ask.from.empty() == ask.digest.empty()) {
        return fail(Fault::invalid, "from: {}; send the name of a model that GET /api/tags lists",
                    ask.from.empty() ? "missing" : "does not go with files");
    }
    TRILANE_TRY(const auto system, fields.text("system"));
    ask.system = system.value_or("");
    if (ask.system.size() > kSystemBytesMax) {
        return fail(Fault::invalid, "system: got {} bytes; send at most {}", ask.system.size(),
                    kSystemBytesMax);
    }
    TRILANE_TRY(const json::Value* parameters, fields.object("parameters"));
    if (parameters != nullptr && !parameters->empty()) {
        ask.parameters = json::dump(*parameters);
        TRILANE_TRY_STATUS(check_parameters(ask.parameters));
    }
    TRILANE_TRY(ask.licence, read_licence(fields));
    TRILANE_TRY(const auto stream, fields.boolean("stream"));
    ask.stream = stream.value_or(true);
    return ask;
}

std::string merged_parameters(const std::string& base, const std::string& over) {
    auto all = json::parse(base.empty() ? "{}" : base);
    const auto more = json::parse(over.empty() ? "{}" : over);
    if (!all || !all->is_object() || !more || !more->is_object()) {
        return over;
    }
    for (const auto& [name, value] : more->items()) {
        (*all)[name] = value;
    }
    return all->empty() ? std::string() : json::dump(*all);
}

std::string status_line(std::string_view status) {
    return json::dump({{"status", status}});
}

std::string download_line(std::string_view digest, std::string_view file, std::uint64_t total,
                          std::uint64_t completed) {
    const std::string_view what = digest.empty() ? file : digest.substr(0, kDigestShown);
    json::Value line = {{"status", fmt::format("pulling {}", what)}};
    if (!digest.empty()) {
        line["digest"] = fmt::format("sha256:{}", digest);
    }
    line["total"] = total;
    line["completed"] = completed;
    return json::dump(line);
}

}  // namespace trilane::dialect::ollama
