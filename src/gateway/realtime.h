// Realtime transcription: a WebSocket whose client sends sound and gets text (OpenAI's realtime
// API; dialect/openai/realtime.h has its words). Has the turns transcribed, one after another.
#pragma once

#include <cstddef>

#include "gateway/desk.h"

namespace trilane::gateway {

/// Sessions at once: each may hold kRealtimeSamplesMax of sound.
inline constexpr std::size_t kRealtimeSessionsMax = 32;

void open_realtime(Desk& desk, Call call);

}  // namespace trilane::gateway
