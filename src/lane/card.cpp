#include "lane/card.h"

namespace trilane::lane {

job::ModelCard card_of(const catalog::Entry& entry) {
    job::ModelCard card;
    card.id = entry.id;
    card.name = entry.id;
    card.architecture = entry.architecture;
    card.parameters = entry.parameters;
    card.bytes = entry.bytes;
    card.context_tokens = entry.context_tokens;
    card.created_unix_s = entry.added_unix_s;
    card.licence = entry.licence;
    return card;
}

}  // namespace trilane::lane
