// Sanity checks of servers that do not chat: a small task of each one's own kind whose answer must
// make sense. Those that chat are checked by HttpResident::check_sanity.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/child/load_watch.h"
#include "net/client.h"

namespace trilane::lane {

/// Every one of these: **Errors:** corrupt, with the beginning of what came instead; or why nothing
/// came.

/// POST /v1/embeddings: finite numbers, not all the same.
Status check_embedding(net::Client& client, const LoadWatch& watch, const std::string& model);
/// POST /v1/rerank: a finite score for each of two documents, not both zero.
Status check_reranking(net::Client& client, const LoadWatch& watch, const std::string& model);
/// POST `target` with half a second of silence as a WAV file: an object with a "text".
Status check_transcription(net::Client& client, const LoadWatch& watch, std::string_view target,
                           const std::string& model);
/// POST /v1/audio/speech with the first of `voices`, else OpenAI's first: sound, and not a single
/// value throughout.
Status check_speech(net::Client& client, const LoadWatch& watch, const std::string& model,
                    const std::vector<std::string>& voices);
/// POST /sdapi/v1/txt2img: the smallest picture in a single step, which runs all of the model once.
/// Only that a picture comes is looked at, not what is on it. An older server without that API
/// (404) is not asked further: OpenAI's way of asking knows no steps, and a whole drawing takes
/// minutes.
Status check_drawing(net::Client& client, const LoadWatch& watch);
/// GET /v1/audio/voices: their names; none where the server does not list them.
/// **Errors:** the load's end, or why nothing came.
Result<std::vector<std::string>> listed_voices(net::Client& client, const LoadWatch& watch);

/// Half a second of silence: RIFF WAVE, 16 bit, mono, 16 kHz.
std::string silent_wav();

}  // namespace trilane::lane
