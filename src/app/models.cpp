// `trilane models`: what can be run here. Reads the headers only.
#include <fmt/core.h>

#include "app/gguf_show.h"
#include "app/model_files.h"
#include "app/model_listing.h"
#include "app/output.h"
#include "app/verbs.h"
#include "gguf/gguf.h"
#include "json/json.h"

namespace trilane::app {
namespace {

constexpr std::string_view kUnknown = "-";

std::string text_or_unknown(const gguf::File& file, std::string_view key) {
    const auto text = file.string(key);
    return text ? printable(*text, 40) : std::string(kUnknown);
}

}  // namespace

std::vector<ListedModel> list_with_headers(std::span<const std::string> dirs) {
    std::vector<ListedModel> listed;
    for (ModelFile& model : list_models(dirs)) {
        ListedModel& one = listed.emplace_back();
        one.file = std::move(model);
        const auto file = gguf::File::open(one.file.path);
        if (!file) {
            one.problem = file.error().message;
            continue;
        }
        one.architecture = text_or_unknown(**file, "general.architecture");
        one.licence = text_or_unknown(**file, "general.license");
        one.bytes = (*file)->file_bytes();
        for (const gguf::Tensor& tensor : (*file)->tensors()) {
            one.parameters += tensor.weights();
        }
        one.context_tokens = (*file)->integer(one.architecture + ".context_length").value_or(0);
        if (const Status runs = runs_here(**file); !runs) {
            one.problem = runs.error().message;
        }
    }
    return listed;
}

std::string models_text(std::span<const ListedModel> models) {
    if (models.empty()) {
        return "No models found. Name a folder of GGUF files: trilane models DIR\n";
    }
    std::vector<std::vector<std::string>> rows{
        {"NAME", "ARCHITECTURE", ">PARAMETERS", ">SIZE", ">CONTEXT", "LICENCE", "FILE"}};
    std::string problems;
    for (const ListedModel& model : models) {
        const std::string context =
            model.context_tokens > 0 ? fmt::format("{}", model.context_tokens) : "-";
        rows.push_back({printable(model.file.id), model.architecture, human_count(model.parameters),
                        human_bytes(model.bytes), context, model.licence,
                        printable(model.file.path)});
        if (!model.problem.empty()) {
            problems +=
                fmt::format("{} does not run here: {}\n", printable(model.file.id), model.problem);
        }
    }
    return table(rows) + (problems.empty() ? "" : '\n' + problems);
}

json::Value models_json(std::span<const ListedModel> models) {
    json::Value list = json::Value::array();
    for (const ListedModel& model : models) {
        json::Value one{{"name", model.file.id},
                        {"file", model.file.path},
                        {"architecture", model.architecture},
                        {"parameters", model.parameters},
                        {"bytes", model.bytes},
                        {"context_tokens", model.context_tokens},
                        {"licence", model.licence},
                        {"runs", model.problem.empty()}};
        if (!model.problem.empty()) {
            one["runs_not_because"] = model.problem;
        }
        list.push_back(std::move(one));
    }
    return {{"models", std::move(list)}};
}

Result<int> perform(const ModelsOptions& options) {
    const std::vector<ListedModel> models = list_with_headers(options.model_dirs);
    TRILANE_TRY_STATUS(
        print(options.json ? json::dump_pretty(models_json(models)) + '\n' : models_text(models)));
    return 0;
}

}  // namespace trilane::app
