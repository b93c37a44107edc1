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
bool is_last_name(const Desk& desk, const catalog::FurtherName& name) {
    const auto card = desk.service().find(name.model);
    if (!name.pulled || !card || card->id != name.model) {
        return false;  // where the model has gone already, its name alone is left
    }
    return std::ranges::none_of(desk.library()->further_names(),
                                [&](const catalog::FurtherName& other) {
                                    return other.model == name.model && other.name != name.name;
                                });
}

}  // namespace

void delete_called(const Desk& desk, std::string_view field, const std::string& name,
                   const Result<job::ModelCard>& meaning, std::function<void(Status)> done) {
    catalog::Library& library = *desk.library();
    if (meaning && meaning->id == name) {
        library.remove(name, std::move(done));
        return;
    }
    if (const auto further = library.further_name(name)) {
        if (is_last_name(desk, *further)) {
            library.remove(further->model, std::move(done));
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
