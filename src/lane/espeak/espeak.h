// The espeak lane: eSpeak NG speaks, one short-lived child per request. Small, quick and always
// there once its package is installed: so that speech works before anybody has chosen a better
// voice. No model to load; the program is the model.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lane/descriptor.h"

namespace trilane::lane {

/// Longer texts are refused.
inline constexpr std::size_t kEspeakTextBytesMax = std::size_t{100} << 10U;

/// The program's own name of a voice: of OpenAI's ("nova"), Kokoro's ("bf_emma") or its own
/// ("de+f2"). **Errors:** invalid: a name that is none.
Result<std::string> espeak_voice(std::string_view voice);
/// Words per minute of a speed.
std::uint32_t espeak_words_per_minute(float speed);

/// **Errors:** invalid (settings); not_found: no program.
Result<std::shared_ptr<Lane>> open_espeak_lane(const Settings& settings, const Parts& parts);

extern const Descriptor kEspeakDescriptor;

}  // namespace trilane::lane
