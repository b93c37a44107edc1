#include "plane/models.h"

#include <algorithm>
#include <functional>

#include "base/utf8.h"
#include "lane/card.h"

namespace trilane::plane {
namespace {

/// What clients of OpenAI's API call models of these kinds when nobody has told them better.
struct Convention {
    std::string_view name;
    bool job::Abilities::*can;
};
constexpr Convention kConventions[] = {
    {"tts-1", &job::Abilities::speak},
    {"tts-1-hd", &job::Abilities::speak},
    {"gpt-4o-mini-tts", &job::Abilities::speak},
    {"kokoro", &job::Abilities::speak},
    {"whisper-1", &job::Abilities::transcribe},
    {"gpt-4o-transcribe", &job::Abilities::transcribe},
    {"gpt-4o-mini-transcribe", &job::Abilities::transcribe},
    {"dall-e-2", &job::Abilities::draw},
    {"dall-e-3", &job::Abilities::draw},
    {"gpt-image-1", &job::Abilities::draw},
    {"text-embedding-3-small", &job::Abilities::embed},
    {"text-embedding-3-large", &job::Abilities::embed},
    {"text-embedding-ada-002", &job::Abilities::embed},
};

/// What is missing, and where it comes from.
std::string_view advice_for(bool job::Abilities::*can) {
    if (can == &job::Abilities::speak) {
        return "no model here speaks; install espeak-ng (apt install espeak-ng) or Kokoros, then "
               "restart, or add a lane of kind remote";
    }
    if (can == &job::Abilities::transcribe) {
        return "no model here transcribes; install whisper.cpp's whisper-server and `trilane pull` "
               "a Whisper model, or add a lane of kind remote";
    }
    if (can == &job::Abilities::draw) {
        return "no model here draws; install stable-diffusion.cpp's sd-server and `trilane pull` a "
               "model for it, or add a lane of kind remote";
    }
    return "no model here makes embeddings; `trilane pull` one that does";
}

constexpr std::size_t kNamesShownMax = 20;
constexpr std::size_t kShownBytesMax = 100;

void obey(Model& model, const Order& order) {
    if (order.pin) {
        model.policy.pin = *order.pin;
        model.policy.pin_lane = order.pin_lane;
    }
    if (order.context_tokens) {
        model.policy.wishes.context_tokens = *order.context_tokens;
    }
}

}  // namespace

const ModelPolicy& policy_of(const Policies& policies, std::string_view id) {
    static const ModelPolicy kPlain;
    auto found = policies.find(id);
    if (found == policies.end()) {
        found = policies.find("*");
    }
    return found == policies.end() ? kPlain : found->second;
}

ModelTable::ModelTable(std::span<const catalog::Entry> entries,
                       std::span<const std::shared_ptr<lane::Lane>> lanes, const Policies& policies,
                       std::string default_model, const FurtherNames& further_names,
                       const Orders& orders)
    : default_model_(std::move(default_model)) {
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        lanes_.emplace(lanes[i]->name(), i);
    }
    for (const catalog::Entry& entry : entries) {
        add(entry, lanes, std::nullopt, policies);
    }
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        for (const catalog::Entry& entry : lanes[i]->offers()) {
            add(entry, lanes, i, policies);
        }
    }
    for (Model& model : models_) {
        if (const auto order = orders.find(model.id); order != orders.end()) {
            obey(model, order->second);
        }
        order_candidates(model, lanes);
        const std::string& pin_lane = model.policy.pin_lane;
        if (std::ranges::none_of(model.candidates, [&](const Candidate& candidate) {
                return lanes[candidate.lane]->name() == pin_lane;
            })) {
            model.policy.pin_lane.clear();
        }
        if (!model.candidates.empty()) {
            // Where it would be loaded first; another lane refuses what it cannot do itself.
            const Candidate& first = model.candidates.front();
            lanes[first.lane]->add_abilities(first.entry, model.card.abilities);
        }
    }
    for (std::size_t i = 0; i < models_.size(); ++i) {
        for (const std::string& alias : models_[i].policy.aliases) {
            if (alias.ends_with('*')) {
                patterns_.push_back({alias.substr(0, alias.size() - 1), i});
            } else {
                names_.emplace(alias, i);
            }
        }
    }
    std::ranges::stable_sort(patterns_, std::greater(),
                             [](const Pattern& pattern) { return pattern.prefix.size(); });
    for (const auto& [name, id] : further_names) {
        if (const auto at = names_.find(id); at != names_.end()) {
            names_.emplace(name, at->second);
        }
    }
}

void ModelTable::add(const catalog::Entry& entry,
                     std::span<const std::shared_ptr<lane::Lane>> lanes,
                     std::optional<std::size_t> only_lane, const Policies& policies) {
    const auto [place, fresh] = names_.emplace(entry.id, models_.size());
    if (fresh) {
        Model& model = models_.emplace_back();
        model.id = entry.id;
        model.policy = policy_of(policies, entry.id);
        model.card = lane::card_of(entry);
    }
    Model& model = models_[place->second];
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        const bool known =
            std::ranges::find(model.candidates, i, &Candidate::lane) != model.candidates.end();
        if ((!only_lane || *only_lane == i) && !known && lanes[i]->can_serve(entry)) {
            model.candidates.push_back({i, entry});
        }
    }
}

/// Lanes that the policy names, in its order, and no others; else the lanes' own order.
void ModelTable::order_candidates(Model& model,
                                  std::span<const std::shared_ptr<lane::Lane>> lanes) const {
    const std::vector<std::string>& wanted = model.policy.lanes;
    const auto rank = [&](const Candidate& candidate) {
        return std::ranges::find(wanted, lanes[candidate.lane]->name()) - wanted.begin();
    };
    if (!wanted.empty()) {
        const auto absent = static_cast<std::ptrdiff_t>(wanted.size());
        std::erase_if(model.candidates, [&](const Candidate& c) { return rank(c) == absent; });
        std::ranges::stable_sort(model.candidates, {}, rank);
        return;
    }
    std::ranges::sort(model.candidates, {}, &Candidate::lane);
}

std::optional<Meaning> ModelTable::look_up(std::string_view name) const {
    if (const auto at = names_.find(name); at != names_.end()) {
        return Meaning{&models_[at->second], std::nullopt};
    }
    if (name == "default" && !models_.empty()) {
        const Model* chosen = by_id(default_model_);
        return Meaning{chosen != nullptr ? chosen : &models_.front(), std::nullopt};
    }
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos) {
        const auto lane = lanes_.find(name.substr(0, slash));
        const auto at = names_.find(name.substr(slash + 1));
        if (lane != lanes_.end() && at != names_.end()) {
            return Meaning{&models_[at->second], lane->second};
        }
    }
    return std::nullopt;
}

std::optional<Meaning> ModelTable::find_pattern(std::string_view name) const {
    const auto longest = [&](std::string_view text) {
        return std::ranges::find_if(
            patterns_, [&](const Pattern& pattern) { return text.starts_with(pattern.prefix); });
    };
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos) {
        const auto lane = lanes_.find(name.substr(0, slash));
        const auto at = longest(name.substr(slash + 1));
        if (lane != lanes_.end() && at != patterns_.end()) {
            return Meaning{&models_[at->model], lane->second};
        }
    }
    const auto at = longest(name);
    return at == patterns_.end() ? std::nullopt
                                 : std::optional(Meaning{&models_[at->model], std::nullopt});
}

Result<Meaning> ModelTable::find(std::string_view name) const {
    constexpr std::string_view kLatest = ":latest";
    auto meaning = look_up(name);
    if (!meaning && name.ends_with(kLatest)) {
        meaning = look_up(name.substr(0, name.size() - kLatest.size()));
    }
    if (meaning) {
        return *meaning;
    }
    const auto* convention = std::ranges::find(kConventions, name, &Convention::name);
    if (convention != std::end(kConventions)) {
        auto able = find_able(name, convention->can);
        meaning = able ? std::nullopt : find_pattern(name);
        return meaning ? *meaning : able;
    }
    meaning = find_pattern(name);
    if (meaning) {
        return *meaning;
    }
    if (models_.empty()) {
        return fail(Fault::not_found,
                    "model: there is none called '{}' here, nor any other; get one with `trilane "
                    "pull`, or start with --model FILE",
                    utf8_clipped(name, kShownBytesMax));
    }
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos && !lanes_.contains(name.substr(0, slash)) &&
        names_.contains(name.substr(slash + 1))) {
        std::string lanes;
        for (const auto& [lane, index] : lanes_) {
            lanes += (lanes.empty() ? "" : ", ") + lane;
        }
        return fail(Fault::not_found,
                    "model: there is no lane called '{0}' here; leave '{0}/' out for any that can "
                    "serve '{1}', or name one of: {2}",
                    utf8_clipped(name.substr(0, slash), kShownBytesMax),
                    utf8_clipped(name.substr(slash + 1), kShownBytesMax), lanes);
    }
    std::string known;
    for (std::size_t i = 0; i < std::min(models_.size(), kNamesShownMax); ++i) {
        known += (i == 0 ? "" : ", ") + models_[i].id;
    }
    return fail(Fault::not_found, "model: there is none called '{}' here; use one of: {}{}",
                utf8_clipped(name, kShownBytesMax), known,
                models_.size() > kNamesShownMax ? " … (GET /v1/models lists all)" : "");
}

/// The first model that can do it for sure: of one whose purpose nobody knows, that is not known.
Result<Meaning> ModelTable::find_able(std::string_view name, bool job::Abilities::*can) const {
    for (const Model& model : models_) {
        const job::Abilities& abilities = model.card.abilities;
        const bool unknown = abilities.embed && abilities.speak;
        if (abilities.*can && !unknown && !model.candidates.empty()) {
            return Meaning{&model, std::nullopt};
        }
    }
    return fail(Fault::unavailable, "model: '{}' stands for any, but {}", name, advice_for(can));
}

const Model* ModelTable::by_id(std::string_view id) const {
    const auto at = names_.find(id);
    return at == names_.end() || models_[at->second].id != id ? nullptr : &models_[at->second];
}

}  // namespace trilane::plane
