// Realtime transcription: a WebSocket whose client sends sound and gets text (OpenAI's realtime
// API; dialect/openai/realtime.h has its words). Has the turns transcribed, one after another.
#pragma once

#include <cstddef>

#include "gateway/desk.h"

namespace trilane::gateway {

/// Sessions at once: each may hold kRealtimeSamplesMax of sound.
inline constexpr std::size_t kRealtimeSessionsMax = 32;
/// Of them, of one client: whoever has a key, or where no key is asked for, an address.
inline constexpr std::size_t kRealtimeSessionsOfOneMax = kRealtimeSessionsMax / 4;
/// Of one session, come and not yet worked on; when more are, the client is not read for a while.
/// One message more may come before that is seen.
inline constexpr std::size_t kRealtimeQueueBytesMax = 4U << 20U;
/// Who work on what comes: JSON, base64 and loudness of up to 2 MiB a message.
inline constexpr std::size_t kRealtimeThreads = 2;

void open_realtime(Desk& desk, Call call);

}  // namespace trilane::gateway
