#include "gateway/lemonade_shelf.h"

#include <algorithm>
#include <utility>

#include "catalog/file_names.h"

namespace trilane::gateway::lemonade_api {
namespace {

constexpr std::string_view kUserPrefix = "user.";

/// "owner/name@revision" and the variant → "owner/name:variant".
std::string checkpoint_of(const catalog::Entry& entry) {
    if (entry.store == catalog::Store::flm) {
        return entry.path;
    }
    std::string out = entry.repository.substr(0, entry.repository.find('@'));
    if (!out.empty() && !entry.quantization.empty()) {
        out += ":" + entry.quantization;
    }
    return out;
}

/// Whether `wanted`, as behind a repository's name, is the variant that the entry is.
bool is_variant(const catalog::Entry& entry, std::string_view repository,
                const std::string& wanted) {
    constexpr std::string_view kDynamic = "UD-";
    const std::string_view quantization = entry.quantization;
    const std::string_view file = catalog::base_name(entry.path);
    return wanted.empty() || catalog::equal_ignoring_case(quantization, wanted) ||
           (quantization.starts_with(kDynamic) &&
            catalog::equal_ignoring_case(quantization.substr(kDynamic.size()), wanted)) ||
           catalog::base_name(wanted) == file || catalog::model_stem(file) == wanted ||
           catalog::id_of(repository, wanted) == entry.id;
}

std::string_view recipe_of_entry(const catalog::Entry& entry) {
    switch (entry.store) {
        case catalog::Store::flm:
            return "flm";
        case catalog::Store::remote:
            return "cloud";
        case catalog::Store::program:
            return "kokoro";
        case catalog::Store::gguf:
            break;
    }
    if (entry.purpose == catalog::Purpose::transcribe) {
        return "whispercpp";
    }
    if (entry.purpose == catalog::Purpose::image) {
        return "sd-cpp";
    }
    return entry.purpose == catalog::Purpose::speak ? "kokoro" : "llamacpp";
}

}  // namespace

Result<Meant> meant(const Desk& desk, const access::Visit& visit, std::string_view name) {
    const bool prefixed = name.starts_with(kUserPrefix);
    const std::string spellings[] = {std::string(name),
                                     prefixed ? std::string(name.substr(kUserPrefix.size()))
                                              : std::string(kUserPrefix).append(name)};
    for (const std::string& spelling : spellings) {
        if (auto card = desk.service().find(spelling)) {
            return Meant{*std::move(card), spelling};
        }
    }
    auto card = desk.find_for(visit, name);
    if (card) {  // it has just come
        return Meant{*std::move(card), std::string(name)};
    }
    return tl::unexpected(lemonade::no_such_model(name, card.error()));
}

std::string_view recipe_of_kind(std::string_view kind) {
    constexpr std::pair<std::string_view, std::string_view> kRecipes[] = {
        {"native", "llamacpp"},  {"llama-server", "llamacpp"},
        {"flm", "flm"},          {"whisper-server", "whispercpp"},
        {"sd-server", "sd-cpp"}, {"kokoro", "kokoro"},
        {"espeak", "kokoro"},    {"remote", "cloud"}};
    const auto* found =
        std::ranges::find(kRecipes, kind, &std::pair<std::string_view, std::string_view>::first);
    return found == std::end(kRecipes) ? std::string_view() : found->second;
}

Shelf::Shelf(const Desk& desk) : desk_(desk), view_(desk.service().view()) {
    if (desk.library() != nullptr) {
        for (catalog::Entry& entry : desk.library()->list()) {
            std::string id = entry.id;
            entries_.emplace(std::move(id), std::move(entry));
        }
    }
}

const catalog::Entry* Shelf::entry(std::string_view id) const {
    const auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
}

bool Shelf::is_of(std::string_view id, std::string_view checkpoint) const {
    const catalog::Entry* stored = entry(id);
    if (stored == nullptr) {
        return false;
    }
    if (checkpoint == checkpoint_of(*stored)) {
        return true;
    }
    const auto reference = catalog::parse_reference(checkpoint);
    const std::size_t at = stored->repository.find('@');
    const std::string repository = stored->repository.substr(0, at);
    const std::string revision =
        at == std::string::npos ? std::string() : stored->repository.substr(at + 1);
    const catalog::Reference usual;
    return reference && !repository.empty() &&
           catalog::equal_ignoring_case(reference->repository, repository) &&
           (reference->revision == usual.revision || reference->revision == revision) &&
           is_variant(*stored, repository, reference->variant);
}

std::string Shelf::lane_named(const Meant& meant) const {
    if (meant.name == meant.card.id) {
        return {};  // an id may have a '/' of its own
    }
    const auto named = std::ranges::find_if(view_.lanes, [&](const plane::LaneView& lane) {
        return meant.name.starts_with(lane.name + '/');
    });
    return named == view_.lanes.end() ? std::string() : named->name;
}

const plane::Residency* Shelf::residency(std::string_view id, std::string_view on_lane) const {
    for (const plane::LaneView& lane : view_.lanes) {
        if (!on_lane.empty() && lane.name != on_lane) {
            continue;
        }
        for (const plane::Residency& one : lane.residents) {
            if (one.model == id && lane::takes_requests(one.state)) {
                return &one;
            }
        }
    }
    return nullptr;
}

/// By what is stored; else by the lane it is on; else by what it can do and which lanes there are.
std::string Shelf::recipe_of(const job::ModelCard& card) const {
    if (const catalog::Entry* stored = entry(card.id)) {
        return std::string(recipe_of_entry(*stored));
    }
    bool flm = false;
    bool remote = false;
    for (const plane::LaneView& lane : view_.lanes) {
        for (const plane::Residency& one : lane.residents) {
            if (one.model == card.id && !recipe_of_kind(lane.kind).empty()) {
                return std::string(recipe_of_kind(lane.kind));
            }
        }
        flm = flm || lane.kind == "flm";
        remote = remote || lane.kind == "remote";
    }
    const job::Abilities& able = card.abilities;
    if (able.chat || able.complete || able.embed || able.rerank) {
        return flm && card.id.find(':') != std::string::npos ? "flm"
               : remote                                      ? "cloud"
                                                             : "llamacpp";
    }
    return able.transcribe ? "whispercpp"
           : able.draw     ? "sd-cpp"
           : able.speak    ? "kokoro"
                           : "llamacpp";
}

lemonade::Offered Shelf::offered(job::ModelCard card, std::string_view name) const {
    lemonade::Offered out;
    out.name = name;
    out.recipe = recipe_of(card);
    const plane::Residency* resident = residency(card.id);
    out.context_tokens = resident != nullptr ? resident->context_tokens : 0;
    out.context_max_tokens = card.context_tokens;
    if (const catalog::Entry* stored = entry(card.id)) {
        // A model in memory may know less of its file.
        card.bytes = stored->bytes;
        card.created_unix_s = stored->added_unix_s;
        out.checkpoint = checkpoint_of(*stored);
        if (stored->context_tokens > 0) {
            out.context_max_tokens = stored->context_tokens;
        }
    }
    out.card = std::move(card);
    return out;
}

std::vector<lemonade::Offered> Shelf::all() const {
    std::vector<lemonade::Offered> out;
    for (job::ModelCard& card : desk_.service().models()) {
        const std::string id = card.id;
        out.push_back(offered(std::move(card), id));
    }
    if (desk_.library() != nullptr) {
        for (const catalog::FurtherName& further : desk_.library()->further_names()) {
            if (auto card = desk_.service().find(further.model)) {
                out.push_back(offered(*std::move(card), further.name));
            }
        }
    }
    return out;
}

std::vector<lemonade::Loaded> Shelf::loaded() const {
    constexpr double kMsPerS = 1000;
    std::vector<lemonade::Loaded> out;
    for (const plane::LaneView& lane : view_.lanes) {
        for (const plane::Residency& one : lane.residents) {
            auto card = desk_.service().find(one.model);
            if (!card || !lane::takes_requests(one.state)) {
                continue;
            }
            lemonade::Loaded& loaded = out.emplace_back();
            loaded.offered = offered(*std::move(card), one.model);
            loaded.offered.context_tokens = one.context_tokens;
            if (const auto recipe = recipe_of_kind(lane.kind); !recipe.empty()) {
                loaded.offered.recipe = recipe;
            }
            loaded.silicon = lane.silicon;
            loaded.lane = lane.name;
            loaded.last_use_unix_s = static_cast<double>(one.since_unix_ms) / kMsPerS;
            loaded.pinned = one.pinned;
            loaded.busy = one.load.slots_busy > 0;
        }
    }
    return out;
}

}  // namespace trilane::gateway::lemonade_api
