#include "dialect/openai/transcript.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "json/text.h"

namespace trilane::dialect::openai {
namespace {

constexpr double kSecondsMax = 360'000;  // 100 hours: as many as two digits and a bit can show
constexpr double kFramesPerSecond = 100;

double sane(double seconds) {
    return std::isfinite(seconds) ? std::clamp(seconds, 0.0, kSecondsMax) : 0.0;
}

/// "00:01:02,345"
std::string clock(double seconds, char point) {
    const auto ms = static_cast<std::int64_t>(std::llround(sane(seconds) * 1000));
    return fmt::format("{:02}:{:02}:{:02}{}{:03}", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60,
                       point, ms % 1000);
}

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \r\n\t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \r\n\t") + 1);
}

std::string subtitles(const Heard& heard, bool srt) {
    std::string out = srt ? "" : "WEBVTT\n\n";
    std::size_t number = 0;
    for (const job::Segment& segment : heard.segments) {
        if (srt) {
            fmt::format_to(std::back_inserter(out), "{}\n", ++number);
        }
        const char point = srt ? ',' : '.';
        fmt::format_to(std::back_inserter(out), "{} --> {}\n{}\n\n", clock(segment.start_s, point),
                       clock(segment.end_s, point), trimmed(segment.text));
    }
    return out;
}

/// What lanes do not tell of a segment is zero: clients require that it is there.
void append_segment(std::string& out, std::size_t id, const job::Segment& segment,
                    double temperature) {
    fmt::format_to(std::back_inserter(out),
                   R"({{"id":{},"seek":{},"start":{:.3f},"end":{:.3f},"text":)", id,
                   static_cast<std::int64_t>(sane(segment.start_s) * kFramesPerSecond),
                   sane(segment.start_s), sane(segment.end_s));
    json::append_string(out, segment.text);
    fmt::format_to(std::back_inserter(out),
                   R"(,"tokens":[],"temperature":{},"avg_logprob":0,"compression_ratio":0,)"
                   R"("no_speech_prob":0}})",
                   temperature);
}

void append_words(std::string& out, const Heard& heard) {
    out += ",\"words\":[";
    bool first = true;
    for (const job::Segment& segment : heard.segments) {
        for (const job::Word& word : segment.words) {
            out += first ? "{\"word\":" : ",{\"word\":";
            first = false;
            json::append_string(out, trimmed(word.text));
            fmt::format_to(std::back_inserter(out), R"(,"start":{:.3f},"end":{:.3f}}})",
                           sane(word.start_s), sane(word.end_s));
        }
    }
    out += ']';
}

std::string verbose(const Heard& heard, const TranscriptWishes& wishes) {
    std::string out =
        fmt::format(R"({{"task":"{}","language":)", wishes.translate ? "translate" : "transcribe");
    json::append_string(out, heard.transcript.language);
    fmt::format_to(std::back_inserter(out), R"(,"duration":{:.3f},"text":)",
                   sane(heard.transcript.duration_s));
    json::append_string(out, heard.text());
    if (wishes.with_segments) {
        out += ",\"segments\":[";
        for (std::size_t i = 0; i < heard.segments.size(); ++i) {
            out += i == 0 ? "" : ",";
            append_segment(out, i, heard.segments[i], wishes.temperature);
        }
        out += ']';
    }
    if (wishes.with_words) {
        append_words(out, heard);
    }
    out += ',' + duration_usage(heard.transcript.duration_s) + '}';
    return out;
}

}  // namespace

std::string Heard::text() const {
    if (!transcript.text.empty()) {
        return std::string(trimmed(transcript.text));
    }
    std::string joined;
    for (const job::Segment& segment : segments) {
        joined += segment.text;
    }
    return std::string(trimmed(joined));
}

std::string duration_usage(double duration_s) {
    return fmt::format(R"("usage":{{"type":"duration","seconds":{}}})",
                       static_cast<std::int64_t>(std::ceil(sane(duration_s))));
}

std::string transcript_body(const Heard& heard, const TranscriptWishes& wishes) {
    if (wishes.format == "text") {
        return heard.text() + '\n';
    }
    if (wishes.format == "srt" || wishes.format == "vtt") {
        return subtitles(heard, wishes.format == "srt");
    }
    if (wishes.format == "verbose_json") {
        return verbose(heard, wishes);
    }
    std::string out = "{\"text\":";
    json::append_string(out, heard.text());
    out += ',' + duration_usage(heard.transcript.duration_s) + '}';
    return out;
}

}  // namespace trilane::dialect::openai
