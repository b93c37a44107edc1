// What models of other kinds are asked, and what they answer: vectors, rankings, tokens, speech,
// pictures. Part of the waist. Sounds and pictures are whole files in memory, bounded by the body
// that brought them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "job/chat.h"

namespace trilane::job {

/// A vector for each input. Answered by one Vectors.
struct Embed {
    std::vector<std::variant<std::string, std::vector<std::int32_t>>> inputs;  ///< texts or tokens
    std::optional<std::uint32_t> dimensions;  ///< only the first so many, normalised again
    bool truncate = true;                     ///< cut what is longer than the context; or refuse
};
struct Vectors {
    std::vector<std::vector<float>> vectors;  ///< one per input, of length 1 (L2)
};

/// How well each document answers the query. Answered by one Scores.
struct Rerank {
    std::string query;
    std::vector<std::string> documents;
};
struct Scores {
    std::vector<float> scores;  ///< one per document; larger = better; as the model gives them
};

/// A text as the model's tokens. Answered by one Tokens.
struct Tokenize {
    std::string text;
    bool add_special = false;   ///< begin-of-text and the like, as the model wants them
    bool parse_special = true;  ///< names of control tokens in the text are those tokens
};
/// Tokens as their text. Answered by one Text.
struct Detokenize {
    std::vector<std::int32_t> ids;
};
/// How many tokens a conversation is, rendered as for an answer. Answered by Done's usage alone.
struct CountTokens {
    Chat chat;
};
struct Tokens {
    std::vector<std::int32_t> ids;
    std::vector<std::string> pieces;  ///< bytes of each
};

/// Speech as text. Answered by Segments as they are heard, and a Transcript.
struct Transcribe {
    Media sound;
    std::string file_name;    ///< as the client called it: its ending may tell the format
    std::string language;     ///< ISO 639-1; "" = detect
    std::string prompt;       ///< words to expect, or what was said before
    bool translate = false;   ///< to English
    bool word_times = false;  ///< Segment::words are wanted
    std::optional<float> temperature;
};
struct Word {
    std::string text;
    double start_s = 0;
    double end_s = 0;
};
struct Segment {
    double start_s = 0;
    double end_s = 0;
    std::string text;
    std::vector<Word> words;
};
struct Transcript {
    std::string text;  ///< all of it
    std::string language;
    double duration_s = 0;  ///< of the sound; 0 = not known
};

/// Text as speech. Answered by Sounds, which joined are one file.
struct Speak {
    std::string text;
    std::string voice;         ///< "" = the lane's own choice
    std::string format;        ///< "wav", "mp3", "opus", "flac", "aac", "pcm" (24 kHz, s16le)
    float speed = 1.0F;        ///< 0.25 … 4
    std::string instructions;  ///< how to say it, for models that can be told
};
struct Sound {
    std::string type;   ///< "audio/mpeg" …; the same in all of an answer
    std::string bytes;  ///< the next piece
};

/// Pictures after a description, or changed after one. Answered by a Picture each.
struct Draw {
    std::string prompt;
    std::string negative_prompt;
    std::vector<Media> images;  ///< to change; none = a new picture
    std::optional<Media> mask;  ///< where to change it
    std::uint32_t count = 1;
    std::uint32_t width = 0;  ///< pixels; 0 = as the model likes it
    std::uint32_t height = 0;
    std::optional<std::uint32_t> steps;
    std::optional<float> guidance;
    std::optional<std::uint64_t> seed;
};
struct Picture {
    std::uint32_t index = 0;
    std::string type;  ///< "image/png" …
    std::string bytes;
    std::string revised_prompt;
};

}  // namespace trilane::job
