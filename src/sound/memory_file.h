// MemoryFile: a file in memory as libsndfile reads and writes one. Part of sound.
#pragma once

#include <sndfile.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace trilane::sound {

/// Either reads `from` or writes into `written`. Must stay where it is while the file is open.
struct MemoryFile {
    std::string_view from;
    std::string written;
    bool writes = false;
    std::size_t at = 0;

    /// The functions that libsndfile calls with this as their last argument.
    static SF_VIRTUAL_IO functions();
};

/// Closes what sf_open_virtual() has opened.
struct SoundFileCloser {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

}  // namespace trilane::sound
