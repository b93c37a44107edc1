// Shelf: models as Lemonade's clients know them, put together of what the plane and the library
// say. Private to the gateway.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/library.h"
#include "dialect/lemonade/lemonade.h"
#include "dialect/lemonade/listings.h"
#include "gateway/desk.h"

namespace trilane::gateway::lemonade_api {

namespace lemonade = dialect::lemonade;

/// A model, and the name by which the plane knows what was meant: it may say the lane, too.
struct Meant {
    job::ModelCard card;
    std::string name;
};
/// What a client's name means: with and without the "user." that Lemonade puts before models which
/// were pulled from elsewhere. Whether the key may use that is not looked at. **Errors:**
/// not_found, in Lemonade's words, which name no model that the key may not use.
Result<Meant> meant(const Desk& desk, const access::Visit& visit, std::string_view name);

/// The recipe by which Lemonade knows what a kind of lane runs; "" = none.
std::string_view recipe_of_kind(std::string_view kind);

class Shelf {
public:
    explicit Shelf(const Desk& desk);

    [[nodiscard]] lemonade::Offered offered(job::ModelCard card, std::string_view name) const;
    /// All models by all their names.
    [[nodiscard]] std::vector<lemonade::Offered> all() const;
    /// Those that take requests.
    [[nodiscard]] std::vector<lemonade::Loaded> loaded() const;
    /// The stored model; null = its files are not the library's.
    [[nodiscard]] const catalog::Entry* entry(std::string_view id) const;
    /// Whether the model was pulled from there: "owner/name" of any variant, "owner/name:variant",
    /// "owner/name:file.gguf", "owner/name@revision", or an FLM tag.
    [[nodiscard]] bool is_of(std::string_view id, std::string_view checkpoint) const;
    /// Where it is in memory, on that lane or, without one, on any; null = nowhere.
    [[nodiscard]] const plane::Residency* residency(std::string_view id,
                                                    std::string_view lane = {}) const;
    /// The lane that a name says beside the model; "" = none.
    [[nodiscard]] std::string lane_named(const Meant& meant) const;
    [[nodiscard]] const plane::View& view() const { return view_; }

private:
    [[nodiscard]] std::string recipe_of(const job::ModelCard& card) const;

    const Desk& desk_;
    const plane::View view_;
    std::map<std::string, catalog::Entry, std::less<>> entries_;
};

}  // namespace trilane::gateway::lemonade_api
