// A GGUF file in memory with a vocabulary of bytes, some named control tokens and a chat template,
// and no weights: for tests only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/gguf.h"
#include "gguf/writer.h"
#include "token/byte_letters.h"
#include "token/tokenizer.h"

namespace trilane::lane::sample {

/// The file and what was read from it; keeps its bytes.
struct ModelFile {
    std::vector<std::byte> bytes;
    std::shared_ptr<const gguf::File> file;
    std::shared_ptr<const token::Tokenizer> tokenizer;

    /// What a prompt is, control tokens by name.
    [[nodiscard]] std::string spelled(const std::vector<token::Id>& ids) const {
        return tokenizer->decode(ids, true);
    }
    [[nodiscard]] token::Id id(std::string_view entry) const {
        for (std::size_t i = 0; i < tokenizer->size(); ++i) {
            if (tokenizer->entry(static_cast<token::Id>(i)) == entry) {
                return static_cast<token::Id>(i);
            }
        }
        return -1;
    }
};

/// `add` may write further metadata.
template <class Add>
ModelFile model_file(const std::string& chat_template, const std::vector<std::string>& control,
                     const Add& add) {
    constexpr std::int32_t kNormal = 1;
    constexpr std::int32_t kControl = 3;
    std::vector<std::string> entries;
    std::vector<std::int32_t> kinds;
    for (int byte = 0; byte < 256; ++byte) {
        entries.emplace_back(token::letter_of_byte(static_cast<std::uint8_t>(byte)));
        kinds.push_back(kNormal);
    }
    for (const std::string& name : control) {
        entries.push_back(name);
        kinds.push_back(kControl);
    }
    gguf::Writer writer;
    writer.add("tokenizer.ggml.model", "gpt2");
    writer.add("tokenizer.ggml.pre", "gpt-2");
    writer.add("tokenizer.ggml.tokens", std::span<const std::string>(entries));
    writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
    writer.add("tokenizer.ggml.merges", std::span<const std::string>());
    if (!chat_template.empty()) {
        writer.add("tokenizer.chat_template", chat_template);
    }
    add(writer);
    ModelFile model;
    model.bytes = writer.bytes();
    model.file = gguf::File::parse(model.bytes).value();
    model.tokenizer = token::Tokenizer::from_gguf(model.file).value();
    return model;
}

inline ModelFile model_file(const std::string& chat_template,
                            const std::vector<std::string>& control) {
    return model_file(chat_template, control, [](gguf::Writer& /*writer*/) {});
}

}  // namespace trilane::lane::sample
