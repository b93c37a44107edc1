// A transcript in the formats that clients ask for. Private to this dialect.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job/asks.h"

namespace trilane::dialect::openai {

/// What a model has heard.
struct Heard {
    std::vector<job::Segment> segments;
    job::Transcript transcript;

    /// All of the text: the transcript's, or else that of the segments.
    [[nodiscard]] std::string text() const;
};

struct TranscriptWishes {
    std::string format = "json";  ///< json, text, verbose_json, srt, vtt
    bool translate = false;
    bool with_segments = true;  ///< of verbose_json
    bool with_words = false;
    double temperature = 0;  ///< as it was asked for
};

/// The body of the answer.
std::string transcript_body(const Heard& heard, const TranscriptWishes& wishes);

/// `"usage":{"type":"duration","seconds":…}`
std::string duration_usage(double duration_s);

}  // namespace trilane::dialect::openai
