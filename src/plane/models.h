// ModelTable: every model that can be asked for, the names it goes by, and the lanes that could
// serve it. Immutable once made; pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "job/job.h"
#include "lane/lane.h"

namespace trilane::plane {

/// What is done with a model.
struct ModelPolicy {
    std::vector<std::string> lanes;  ///< where it may be loaded, best first; empty = wherever
    lane::LoadWishes wishes;
    bool pin = false;      ///< never evicted; loaded at start and again after a crash
    std::string pin_lane;  ///< the one that must have it then; "" = any of its lanes will do
    bool preload = false;
    std::uint32_t keep_warm_s = 900;  ///< idle for so long: unloaded; 0 = kept until room is needed
    std::int32_t priority = 0;        ///< larger stays longer
    /// One that ends with '*' stands for every name that begins so and means nothing else.
    std::vector<std::string> aliases;
};
/// Further names of models, beside the aliases of their policies: name → model's id.
using FurtherNames = std::map<std::string, std::string, std::less<>>;
using Policies = std::map<std::string, ModelPolicy, std::less<>>;  ///< by model; "*" = all others
const ModelPolicy& policy_of(const Policies& policies, std::string_view id);

/// What administrators have said of a model while the daemon runs; absent = nothing. It counts
/// before the policy of the file until that changes in the same point.
struct Order {
    std::optional<bool> pin;
    std::string pin_lane;
    std::optional<std::uint32_t> context_tokens;
    bool operator==(const Order&) const = default;
};
using Orders = std::map<std::string, Order, std::less<>>;  ///< by the model's id

/// A lane that could serve a model, and what the model is to it.
struct Candidate {
    std::size_t lane = 0;
    catalog::Entry entry;
};

struct Model {
    std::string id;
    ModelPolicy policy;
    std::vector<Candidate> candidates;  ///< best first
    job::ModelCard card;                ///< as far as it is known without loading
};

/// What a name means: a model, and the lane if the name says one.
struct Meaning {
    const Model* model = nullptr;
    std::optional<std::size_t> lane;
};

class ModelTable {
public:
    /// `entries` are the catalogue's; the lanes' own offers come after them.
    ModelTable(std::span<const catalog::Entry> entries,
               std::span<const std::shared_ptr<lane::Lane>> lanes, const Policies& policies,
               std::string default_model, const FurtherNames& further_names = {},
               const Orders& orders = {});

    /// An id, an alias, "lane/name" or "default", each also with ":latest" behind it; else one of
    /// the names that clients take for granted ("tts-1", "whisper-1", "dall-e-3" …): the first
    /// model that can do what it stands for; else what the longest alias with '*' says, also
    /// behind "lane/". **Errors:** not_found, with what there is;
    /// unavailable: nothing here can do that, and what to install.
    [[nodiscard]] Result<Meaning> find(std::string_view name) const;
    [[nodiscard]] const Model* by_id(std::string_view id) const;
    [[nodiscard]] const std::vector<Model>& models() const { return models_; }

private:
    [[nodiscard]] Result<Meaning> find_able(std::string_view name, bool job::Abilities::*can) const;
    [[nodiscard]] std::optional<Meaning> look_up(std::string_view name) const;
    [[nodiscard]] std::optional<Meaning> find_pattern(std::string_view name) const;
    void add(const catalog::Entry& entry, std::span<const std::shared_ptr<lane::Lane>> lanes,
             std::optional<std::size_t> only_lane, const Policies& policies);
    void order_candidates(Model& model, std::span<const std::shared_ptr<lane::Lane>> lanes) const;

    std::vector<Model> models_;
    struct Pattern {
        std::string prefix;
        std::size_t model = 0;
    };
    std::map<std::string, std::size_t, std::less<>> names_;  // ids and aliases
    std::vector<Pattern> patterns_;                          // aliases with '*', the longest first
    std::map<std::string, std::size_t, std::less<>> lanes_;
    std::string default_model_;
};

}  // namespace trilane::plane
