#include "gateway/lane_table.h"

#include <string>
#include <utility>

#include "base/utf8.h"

namespace trilane::gateway {
namespace {

// In an error message.
constexpr std::size_t kNamedMax = 20;
constexpr std::size_t kModelShownBytesMax = 100;

std::string listed(const std::vector<job::ModelCard>& cards) {
    if (cards.empty()) {
        return "no model is loaded";
    }
    std::string names = "use one of: ";
    for (std::size_t i = 0; i < cards.size() && i < kNamedMax; ++i) {
        names += (i == 0 ? "" : ", ") + cards[i].id;
    }
    return names + (cards.size() > kNamedMax ? " … (GET /v1/models lists all)" : "");
}

}  // namespace

Result<Placement> LaneTable::find(std::string_view model) const {
    std::vector<Placement> all;
    for (const auto& lane : lanes_) {
        for (job::ModelCard& card : lane->models()) {
            if (card.id == model) {
                return Placement{lane, std::move(card)};
            }
            all.push_back({lane, std::move(card)});
        }
    }
    if (model == "default" && all.size() == 1) {
        return std::move(all.front());
    }
    return fail(Fault::not_found, "model: there is none called '{}' here; {}",
                utf8_clipped(model, kModelShownBytesMax), listed(models()));
}

std::vector<job::ModelCard> LaneTable::models() const {
    std::vector<job::ModelCard> cards;
    for (const auto& lane : lanes_) {
        for (job::ModelCard& card : lane->models()) {
            cards.push_back(std::move(card));
        }
    }
    return cards;
}

std::vector<lane::LaneSnapshot> LaneTable::snapshots() const {
    std::vector<lane::LaneSnapshot> snapshots;
    snapshots.reserve(lanes_.size());
    for (const auto& lane : lanes_) {
        snapshots.push_back(lane->snapshot());
    }
    return snapshots;
}

}  // namespace trilane::gateway
