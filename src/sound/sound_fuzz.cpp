// libFuzzer target `sound`: arbitrary bytes as a recording. Whatever comes, decode() ends with an
// error or with samples that can be written and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "sound/sound.h"

/// libsndfile forgets 6 kB of its Vorbis reader when an Ogg file breaks off in its headers.
extern "C" const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
    return "leak:vorbis_info_init\n";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace trilane::sound;
    constexpr std::size_t kBytesMax = 64U << 10U;  // more is slow and shows nothing new
    if (size < 1 || size > kBytesMax) {
        return 0;
    }
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    (void)container_name(container_of(bytes));
    const auto clip = decode(bytes, (data[0] & 1U) != 0 ? kHearingRate : 0);
    if (!clip) {
        TRILANE_CHECK(!clip.error().message.empty());
        return 0;
    }
    TRILANE_CHECK(!clip->samples.empty() && clip->seconds() <= kSecondsMax + 1);
    const auto again = decode(wav_of(*clip), 0);
    TRILANE_CHECK(again && again->rate == clip->rate && again->samples == clip->samples);
    return 0;
}
