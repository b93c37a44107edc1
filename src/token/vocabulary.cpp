// GGUF metadata → Vocabulary. Every array is checked against the number of entries.
#include "token/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gguf/gguf.h"

namespace trilane::token {
namespace {

using gguf::ValueKind;

/// Writers put -1 into these unsigned fields to say "none".
constexpr std::uint64_t kNoId = std::numeric_limits<std::uint32_t>::max();

Result<Family> family_of(std::string_view model) {
    if (model == "gpt2") {
        return Family::byte_bpe;
    }
    if (model == "llama") {
        return Family::sentencepiece;
    }
    if (model == "bert") {
        return Family::wordpiece;
    }
    if (model == "t5") {
        return fail(Fault::invalid,
                    "tokenizer.ggml.model is \"t5\" (SentencePiece unigram, as XLM-RoBERTa models "
                    "such as bge-m3 and multilingual-e5 have it), which Trilane does not read; a "
                    "llama-server lane runs this model");
    }
    return fail(Fault::invalid,
                "tokenizer.ggml.model is \"{}\", which Trilane does not read; it knows gpt2 "
                "(byte-level BPE), llama (SentencePiece BPE) and bert (WordPiece)",
                model);
}

bool is_numeric(ValueKind kind) {
    return kind != ValueKind::string && kind != ValueKind::array && kind != ValueKind::boolean;
}

Result<std::vector<std::string_view>> read_strings(const gguf::File& file, std::string_view key,
                                                   std::size_t count_max) {
    const gguf::Array* array = file.array(key);
    if (array == nullptr || array->kind() != ValueKind::string) {
        return fail(Fault::corrupt, "{} must be an array of strings and is {}", key,
                    array == nullptr ? "missing" : "another type");
    }
    if (array->size() > count_max) {
        return fail(Fault::corrupt, "{} has {} elements; at most {} are read", key, array->size(),
                    count_max);
    }
    std::vector<std::string_view> strings(array->size());
    for (std::size_t i = 0; i < strings.size(); ++i) {
        strings[i] = array->string(i);
    }
    return strings;
}

Kind kind_of(std::int64_t token_type) {
    return token_type >= 1 && token_type <= 6 ? static_cast<Kind>(token_type) : Kind::normal;
}

Result<std::vector<Kind>> read_kinds(const gguf::File& file, std::size_t entries) {
    std::vector<Kind> kinds(entries, Kind::normal);
    const gguf::Array* types = file.array("tokenizer.ggml.token_type");
    if (types == nullptr) {
        return kinds;
    }
    if (!is_numeric(types->kind()) || types->kind() == ValueKind::f32 ||
        types->kind() == ValueKind::f64 || types->size() < entries) {
        return fail(Fault::corrupt,
                    "tokenizer.ggml.token_type must hold an integer for each of the {} entries",
                    entries);
    }
    for (std::size_t i = 0; i < entries; ++i) {
        kinds[i] = kind_of(types->integer(i));
    }
    return kinds;
}

Result<std::vector<float>> read_scores(const gguf::File& file, std::size_t entries) {
    const gguf::Array* stored = file.array("tokenizer.ggml.scores");
    if (stored == nullptr || !is_numeric(stored->kind()) || stored->size() < entries) {
        return fail(Fault::corrupt,
                    "tokenizer.ggml.scores must hold a number for each of the {} entries: without "
                    "them SentencePiece cannot choose its merges",
                    entries);
    }
    std::vector<float> scores(entries);
    for (std::size_t i = 0; i < entries; ++i) {
        scores[i] = static_cast<float>(stored->number(i));
    }
    return scores;
}

Status read_id(const gguf::File& file, std::string_view key, const Vocabulary& vocabulary,
               std::optional<Id>& id) {
    const std::optional<std::uint64_t> stored = file.integer(key);
    if (!stored || *stored == kNoId) {
        return {};
    }
    if (*stored >= vocabulary.entries.size()) {
        return fail(Fault::corrupt, "{} is {}, but the vocabulary has only {} entries", key,
                    *stored, vocabulary.entries.size());
    }
    id = static_cast<Id>(*stored);
    return {};
}

/// Ids that files of a family leave out because its first implementation fixed them.
void default_ids(Vocabulary& vocabulary) {
    const auto given = [&](Id id) {
        return vocabulary.holds(id) ? std::optional<Id>(id) : std::nullopt;
    };
    if (vocabulary.family == Family::sentencepiece) {
        vocabulary.unknown = given(0);
        vocabulary.bos = given(1);
        vocabulary.eos = given(2);
    } else if (vocabulary.family == Family::wordpiece) {
        vocabulary.unknown = given(100);
        vocabulary.bos = given(101);
        vocabulary.separator = given(102);
    }
}

Status read_ids(const gguf::File& file, Vocabulary& vocabulary) {
    default_ids(vocabulary);
    const auto read = [&](std::string_view key, std::optional<Id>& id) {
        return read_id(file, key, vocabulary, id);
    };
    if (vocabulary.family == Family::wordpiece) {
        TRILANE_TRY_STATUS(read("tokenizer.ggml.cls_token_id", vocabulary.bos));
    }
    TRILANE_TRY_STATUS(read("tokenizer.ggml.bos_token_id", vocabulary.bos));
    TRILANE_TRY_STATUS(read("tokenizer.ggml.eos_token_id", vocabulary.eos));
    TRILANE_TRY_STATUS(read("tokenizer.ggml.eot_token_id", vocabulary.eot));
    TRILANE_TRY_STATUS(read("tokenizer.ggml.eom_token_id", vocabulary.eom));
    TRILANE_TRY_STATUS(read("tokenizer.ggml.unknown_token_id", vocabulary.unknown));
    TRILANE_TRY_STATUS(read("tokenizer.ggml.separator_token_id", vocabulary.separator));
    // The key as most files have it, spelling included.
    TRILANE_TRY_STATUS(read("tokenizer.ggml.seperator_token_id", vocabulary.separator));
    return {};
}

bool is_phi3(const gguf::File& file) {
    std::string name(file.string("general.name").value_or(""));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return name.find("phi3") != std::string::npos || name.find("phi-3") != std::string::npos;
}

}  // namespace

Result<Vocabulary> read_vocabulary(const std::shared_ptr<const gguf::File>& file) {
    Vocabulary vocabulary;
    vocabulary.keeper = file;
    TRILANE_TRY(const std::string_view model, file->required_string("tokenizer.ggml.model"));
    TRILANE_TRY(vocabulary.family, family_of(model));
    vocabulary.pre = file->string("tokenizer.ggml.pre").value_or("");
    TRILANE_TRY(vocabulary.entries, read_strings(*file, "tokenizer.ggml.tokens", kEntriesMax));
    if (vocabulary.entries.empty()) {
        return fail(Fault::corrupt, "tokenizer.ggml.tokens is empty");
    }
    TRILANE_TRY(vocabulary.kinds, read_kinds(*file, vocabulary.entries.size()));
    if (vocabulary.family == Family::byte_bpe) {
        TRILANE_TRY(vocabulary.merges, read_strings(*file, "tokenizer.ggml.merges", kMergesMax));
    } else if (vocabulary.family == Family::sentencepiece) {
        TRILANE_TRY(vocabulary.scores, read_scores(*file, vocabulary.entries.size()));
        vocabulary.trims_after_special = is_phi3(*file);
    }
    TRILANE_TRY_STATUS(read_ids(*file, vocabulary));
    vocabulary.add_bos = file->boolean("tokenizer.ggml.add_bos_token");
    vocabulary.add_eos = file->boolean("tokenizer.ggml.add_eos_token");
    vocabulary.add_separator = file->boolean("tokenizer.ggml.add_sep_token");
    vocabulary.add_space_prefix = file->boolean("tokenizer.ggml.add_space_prefix");
    vocabulary.lower_case = file->boolean("tokenizer.ggml.normalizer.lowercase");
    vocabulary.strip_accents = file->boolean("tokenizer.ggml.normalizer.strip_accents");
    return vocabulary;
}

}  // namespace trilane::token
