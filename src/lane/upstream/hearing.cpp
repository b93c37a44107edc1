#include "lane/upstream/hearing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "json/json.h"
#include "lane/upstream/form.h"

namespace trilane::lane::upstream {
namespace {

double number_in(const json::Value& object, const char* name) {
    const auto at = object.find(name);
    const double value = at == object.end() || !at->is_number() ? 0 : at->get<double>();
    return std::isfinite(value) && value > 0 ? value : 0;
}

std::string text_in(const json::Value& object, const char* name) {
    const auto at = object.find(name);
    return at == object.end() || !at->is_string() ? std::string()
                                                  : utf8_repaired(at->get<std::string>());
}

std::string trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const std::size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
    const std::size_t end = text.find_last_not_of(kBlanks);
    return std::string(text.substr(begin, end == std::string_view::npos ? 0 : end + 1 - begin));
}

const json::Value* array_in(const json::Value& object, const char* name) {
    const auto at = object.find(name);
    return at == object.end() || !at->is_array() ? nullptr : &*at;
}

/// whisper.cpp's "words" are tokens: those that begin no word belong to the one before.
void add_word(std::vector<job::Word>& words, const json::Value& item, bool tokens) {
    if (!item.is_object()) {
        return;
    }
    const std::string text = text_in(item, "word");
    if (tokens && !words.empty() && !text.empty() && text.front() != ' ') {
        words.back().text += text;
        words.back().end_s = number_in(item, "end");
        return;
    }
    job::Word word{trimmed(text), number_in(item, "start"), number_in(item, "end")};
    if (!word.text.empty()) {
        words.push_back(std::move(word));
    }
}

/// Words that a server lists beside the segments go into the segment that they begin in.
void spread_words(std::vector<job::Segment>& segments, std::vector<job::Word> words) {
    std::size_t at = 0;
    for (job::Word& word : words) {
        while (at + 1 < segments.size() && word.start_s >= segments[at + 1].start_s) {
            ++at;
        }
        segments[at].words.push_back(std::move(word));
    }
}

/// OpenAI's newer models refuse every other format than plain JSON.
bool wants_plain(const Upstream& upstream) {
    return upstream.rules.plain_transcripts || upstream.model.starts_with("gpt-");
}

}  // namespace

TranscribeExchange::TranscribeExchange(const job::Request& request, const Upstream& upstream,
                                       job::EventSink sink)
    : WholeExchange(upstream, std::move(sink)), ask_(std::get<job::Transcribe>(request.ask)) {}

Result<Outgoing> TranscribeExchange::write() {
    const bool own_page = rules().own_inference_page;
    if (ask_.sound.bytes.empty()) {
        return fail(Fault::invalid, "file: it is empty; send a recording");
    }
    if (ask_.translate && rules().plain_transcripts) {
        return fail(Fault::invalid,
                    "model: the server of '{}' does not translate; ask for a transcription, or use "
                    "a model of another lane",
                    upstream().model);
    }
    Form form;
    form.add("model", upstream().model);
    if (!rules().plain_transcripts) {
        form.add("response_format", wants_plain(upstream()) ? "json" : "verbose_json");
        // whisper.cpp takes English for granted unless it is told to listen.
        if (!ask_.language.empty() || own_page) {
            form.add("language", ask_.language.empty() ? "auto" : ask_.language);
        }
        if (!ask_.prompt.empty()) {
            form.add("prompt", ask_.prompt);
        }
        if (ask_.temperature) {
            form.add("temperature", fmt::format("{}", *ask_.temperature));
        }
    }
    if (own_page) {
        form.add("translate", ask_.translate ? "true" : "false");
        form.add("no_language_probabilities", "true");  // they take another pass
    } else if (ask_.word_times && !wants_plain(upstream())) {
        form.add("timestamp_granularities[]", "word");
        form.add("timestamp_granularities[]", "segment");
    }
    const std::string& type = ask_.sound.type;
    form.add_file("file", ask_.file_name.empty() ? "sound.wav" : ask_.file_name,
                  type.empty() ? "audio/wav" : type, ask_.sound.bytes);
    Form::Finished finished = form.finish();
    Outgoing out;
    out.at_root = own_page;
    out.path = own_page         ? "/inference"
               : ask_.translate ? "/audio/translations"
                                : "/audio/transcriptions";
    out.content_type = std::move(finished.content_type);
    out.body = std::move(finished.body);
    return out;
}

std::vector<job::Segment> TranscribeExchange::segments_in(const json::Value& answer) const {
    std::vector<job::Segment> segments;
    const json::Value* list = array_in(answer, "segments");
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
        const json::Value& item = (*list)[i];
        if (!item.is_object()) {
            continue;
        }
        job::Segment& segment = segments.emplace_back();
        segment.start_s = number_in(item, "start");
        segment.end_s = number_in(item, "end");
        segment.text = text_in(item, "text");
        const json::Value* words = array_in(item, "words");
        for (std::size_t k = 0; ask_.word_times && words != nullptr && k < words->size(); ++k) {
            add_word(segment.words, (*words)[k], rules().own_inference_page);
        }
    }
    const json::Value* words = array_in(answer, "words");
    if (ask_.word_times && words != nullptr && !segments.empty()) {
        std::vector<job::Word> all;
        for (const json::Value& word : *words) {
            add_word(all, word, false);
        }
        spread_words(segments, std::move(all));
    }
    return segments;
}

Result<WholeExchange::Then> TranscribeExchange::read(const json::Value& answer) {
    if (!answer.is_object() || !answer.contains("text") || !answer["text"].is_string()) {
        return senseless("transcript");
    }
    std::vector<job::Segment> segments = segments_in(answer);
    job::Transcript transcript;
    transcript.language = text_in(answer, "language");
    transcript.duration_s = number_in(answer, "duration");
    if (transcript.duration_s == 0 && !segments.empty()) {
        transcript.duration_s = segments.back().end_s;
    }
    // whisper.cpp breaks the line behind every segment, wherever that is.
    if (rules().own_inference_page && !segments.empty()) {
        for (const job::Segment& segment : segments) {
            transcript.text += segment.text;
        }
    } else {
        transcript.text = text_in(answer, "text");
    }
    transcript.text = trimmed(transcript.text);
    add_usage(answer);
    for (job::Segment& segment : segments) {
        send(std::move(segment));
    }
    send(std::move(transcript));
    return Then::done;
}

}  // namespace trilane::lane::upstream
