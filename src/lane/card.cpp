#include "lane/card.h"

namespace trilane::lane {

job::Abilities abilities_of(catalog::Purpose purpose) {
    using catalog::Purpose;
    job::Abilities can;
    // What nobody has said is left for the lane to refuse.
    const bool unknown = purpose == Purpose::unknown;
    can.chat = can.complete = can.insert = can.tools = unknown || purpose == Purpose::chat;
    can.embed = unknown || purpose == Purpose::embed;
    can.rerank = unknown || purpose == Purpose::rerank;
    can.transcribe = unknown || purpose == Purpose::transcribe;
    can.speak = unknown || purpose == Purpose::speak;
    can.draw = unknown || purpose == Purpose::image;
    return can;
}

job::ModelCard card_of(const catalog::Entry& entry) {
    job::ModelCard card;
    card.id = entry.id;
    card.name = entry.id;
    card.architecture = entry.architecture;
    card.quantization = entry.quantization;
    card.abilities = abilities_of(entry.purpose);
    card.abilities.vision = !entry.projector_path.empty();
    card.parameters = entry.parameters;
    card.bytes = entry.bytes;
    card.context_tokens = entry.context_tokens;
    card.created_unix_s = entry.added_unix_s;
    card.licence = entry.licence;
    return card;
}

Status check_able(const job::ModelCard& card, const job::Request& request) {
    if (!job::able(card.abilities, request)) {
        return fail(Fault::invalid, "model: '{}' is not made for {}", card.id,
                    job::subject(request));
    }
    const auto* chat = std::get_if<job::Chat>(&request.ask);
    if (chat == nullptr) {
        return {};
    }
    for (const job::Message& message : chat->messages) {
        for (const job::Media& media : message.media) {
            const bool picture = media.kind == job::Media::Kind::image;
            if (!(picture ? card.abilities.vision : card.abilities.hearing)) {
                return fail(Fault::invalid,
                            "model: '{}' does not {}; leave the {} out or use a model that does",
                            card.id, picture ? "see" : "hear", picture ? "pictures" : "sounds");
            }
        }
    }
    return {};
}

}  // namespace trilane::lane
