// What a catalogue's entry says of a model before anybody has loaded it.
#pragma once

#include "catalog/catalog.h"
#include "job/job.h"

namespace trilane::lane {

job::ModelCard card_of(const catalog::Entry& entry);
/// What models for that purpose can be asked for, as far as their name and header tell.
job::Abilities abilities_of(catalog::Purpose purpose);

/// Whether the model is made for that request, its pictures and sounds included.
/// **Errors:** invalid.
Status check_able(const job::ModelCard& card, const job::Request& request);

}  // namespace trilane::lane
