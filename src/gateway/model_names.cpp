#include "gateway/model_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace trilane::gateway {
namespace {

constexpr std::size_t kShownModelNameMax = 100;  ///< bytes of a name in an error message

/// Whether nothing keeps the model once this name is gone: who deletes what he pulled, by the name
/// that he pulled it by, wants his disk back. A name that was given by a copy keeps nothing.
bool is_last_name(const catalog::Library& library, const catalog::FurtherName& name) {
    const auto names = library.further_names();
    return name.pulled && std::ranges::none_of(names, [&](const catalog::FurtherName& other) {
               return other.model == name.model && other.name != name.name;
           });
}

/// Whether the first part of the name is a lane's.
bool names_lane(const Desk& desk, std::string_view name) {
    const std::size_t slash = name.find('/');
    const plane::View view = desk.service().view();
    return slash != std::string_view::npos &&
           std::ranges::find(view.lanes, name.substr(0, slash), &plane::LaneView::name) !=
               view.lanes.end();
}

/// Whether the name means that model only by a pattern: then it does so with anything behind it,
/// such as what stands in no name.
bool means_by_pattern(const Desk& desk, const std::string& name, const std::string& id) {
    constexpr char kInNoName = '\x7F';
    if (name == "default" || names_lane(desk, name)) {
        return false;
    }
    const auto card = desk.service().find(name + kInNoName);
    return card && card->id == id;
}

}  // namespace

std::optional<job::ModelCard> model_called(const Desk& desk, const std::string& name) {
    auto card = desk.service().find(name);
    if (!card) {
        return std::nullopt;
    }
    const auto further = desk.library()->further_name(name);
    const bool called = card->id == name || (further && further->model == card->id);
    return called ? std::optional(*std::move(card)) : std::nullopt;
}

Status check_free(const Desk& desk, const std::string& name) {
    const auto card = desk.service().find(name);
    if (!card || desk.library()->further_name(name) || means_by_pattern(desk, name, card->id)) {
        return {};
    }
    const std::string shown(utf8_clipped(name, kShownModelNameMax));
    if (card->id == name) {
        return fail(Fault::invalid, "there is a model called '{}' already; choose another name",
                    shown);
    }
    return fail(Fault::invalid, "'{}' means '{}' here already; choose another name", shown,
                card->id);
}

void delete_called(const Desk& desk, std::string_view field, const std::string& name,
                   const Result<job::ModelCard>& meaning, std::function<void(Status)> done) {
    catalog::Library& library = *desk.library();
    if (meaning && meaning->id == name) {
        library.remove(name, std::move(done));
        return;
    }
    if (const auto further = library.further_name(name)) {
        if (is_last_name(library, *further)) {
            library.remove(further->model,
                           [&library, name, done = std::move(done)](const Status& removed) {
                               if (!removed && removed.error().fault == Fault::not_found) {
                                   library.remove_name(name, done);  // its files have gone before
                               } else {
                                   done(removed);
                               }
                           });
        } else {
            library.remove_name(name, std::move(done));
        }
        return;
    }
    if (!meaning) {
        done(tl::unexpected(meaning.error()));
        return;
    }
    done(fail(Fault::invalid,
              "{}: '{}' is another name of '{}'; delete that one if you want it gone", field,
              utf8_clipped(name, kShownModelNameMax), meaning->id));
}

}  // namespace trilane::gateway
