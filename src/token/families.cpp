// The way from a file to a tokenizer.
#include "token/families.h"

#include "gguf/gguf.h"

namespace trilane::token {
namespace {

Status check_added(std::string_view name, const std::optional<bool>& add,
                   const std::optional<Id>& id) {
    if (add.value_or(false) && !id) {
        return fail(Fault::corrupt,
                    "tokenizer.ggml.add_{0}_token is true, but there is no "
                    "tokenizer.ggml.{0}_token_id to add",
                    name);
    }
    return {};
}

Status check(const Vocabulary& vocabulary) {
    const std::size_t entries = vocabulary.entries.size();
    if (entries == 0 || entries > kEntriesMax || vocabulary.kinds.size() != entries ||
        vocabulary.merges.size() > kMergesMax) {
        return fail(Fault::corrupt,
                    "a vocabulary of {} entries, {} kinds and {} merges is not read", entries,
                    vocabulary.kinds.size(), vocabulary.merges.size());
    }
    for (const std::optional<Id> id : {vocabulary.bos, vocabulary.eos, vocabulary.eot,
                                       vocabulary.eom, vocabulary.unknown, vocabulary.separator}) {
        if (id && !vocabulary.holds(*id)) {
            return fail(Fault::corrupt, "special token {} is not one of the {} entries", *id,
                        entries);
        }
    }
    TRILANE_TRY_STATUS(check_added("bos", vocabulary.add_bos, vocabulary.bos));
    return check_added("eos", vocabulary.add_eos, vocabulary.eos);
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(Vocabulary vocabulary) {
    TRILANE_TRY_STATUS(check(vocabulary));
    switch (vocabulary.family) {
        case Family::byte_bpe:
            return make_byte_bpe(std::move(vocabulary));
        case Family::sentencepiece:
            return make_sentencepiece(std::move(vocabulary));
        case Family::wordpiece:
            return make_wordpiece(std::move(vocabulary));
    }
    return fail(Fault::internal, "a tokenizer family without a maker");
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::from_gguf(
    const std::shared_ptr<const gguf::File>& file) {
    TRILANE_TRY(Vocabulary vocabulary, read_vocabulary(file));
    return make_tokenizer(std::move(vocabulary));
}

}  // namespace trilane::token
