// Names of models as endpoints change them: which are a model's own, and what may be deleted or
// newly called by one. What a name means when somebody asks is the plane's to say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gateway/desk.h"

namespace trilane::gateway {

/// The model whose own id or further name `name` is. Absent for whatever else may mean one: an
/// alias, a pattern, "default", "lane/model", a name that clients take for granted. With a library.
std::optional<job::ModelCard> model_called(const Desk& desk, const std::string& name);

/// Ok when a model may get the further name: it is one already, or means nothing but by a pattern,
/// before which it will count. With a library. **Errors:** invalid.
Status check_free(const Desk& desk, const std::string& name);

/// Deletes what `name` is: a model, by its own id; a further name; or, by the name that it was
/// pulled by when no other further name means it, the model with its files. Nothing else deletes
/// files: an alias, a pattern, "default" and "lane/model" mean a model and are none of its own.
/// `meaning` is what the name means; `field` is where the client sent it. With a library.
void delete_called(const Desk& desk, std::string_view field, const std::string& name,
                   const Result<job::ModelCard>& meaning, std::function<void(Status)> done);

}  // namespace trilane::gateway
