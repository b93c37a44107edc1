// The model files that tests of the engine run.
#pragma once

namespace trilane::engine {

inline constexpr const char* kNano =
    TRILANE_SOURCE_DIR "/models/trilane-nano/trilane-nano-tq2_0.gguf";
inline constexpr const char* kStories =
    TRILANE_SOURCE_DIR "/tests/fixtures/stories260K/stories260K-f32.gguf";

}  // namespace trilane::engine
