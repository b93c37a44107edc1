// The endpoints of this API beside conversations: vectors, rankings, tokens, speech, pictures. Each
// function takes a whole body and gives the jobs and the writer of their answer. Where OpenAI has
// no such endpoint, the shapes are those that llama.cpp, vLLM, Jina or Cohere gave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "dialect/dialect.h"

namespace trilane::dialect::openai {

inline constexpr std::size_t kInputsMax = 2048;              ///< texts to embed
inline constexpr std::size_t kDocumentsMax = 4096;           ///< to rank
inline constexpr std::size_t kSpeechBytesMax = 256U << 10U;  ///< of a text to speak
inline constexpr std::int64_t kPicturesMax = 16;             ///< to draw at once

/// **Errors:** of all of them: invalid, whose message names the field.
Result<Asked> ask_embeddings(std::string_view body, const Context& context);

/// Jina's, Cohere's and, with "texts" for "documents", the shape of Hugging Face's server.
Result<Asked> ask_rerank(std::string_view body, const Context& context);

/// {"content"} as llama.cpp's server takes and answers it, {"prompt"} as vLLM's does.
Result<Asked> ask_tokens(std::string_view body, const Context& context);
Result<Asked> ask_text_of_tokens(std::string_view body, const Context& context);

/// A form with the sound. Answered in the format that it asks for.
Result<Asked> ask_transcription(std::string_view content_type, std::string_view body,
                                const Context& context, bool translate);

/// Answered by the bytes of a sound, or by events with pieces of them.
Result<Asked> ask_speech(std::string_view body, const Context& context);

/// A new picture, one changed after a description, one like another.
enum class PictureAsk { generation, edit, variation };
/// A form or a JSON body.
Result<Asked> ask_pictures(PictureAsk kind, std::string_view content_type, std::string_view body,
                           const Context& context);

}  // namespace trilane::dialect::openai
