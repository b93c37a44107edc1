#include "sound/memory_file.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace trilane::sound {
namespace {

/// No file that is written grows beyond this, wherever a codec seeks to.
constexpr std::size_t kWrittenBytesMax = std::size_t{1} << 30U;

MemoryFile& file_of(void* user) {
    return *static_cast<MemoryFile*>(user);
}

std::size_t size_of(const MemoryFile& file) {
    return file.writes ? file.written.size() : file.from.size();
}

sf_count_t length(void* user) {
    return static_cast<sf_count_t>(size_of(file_of(user)));
}

sf_count_t seek(sf_count_t offset, int whence, void* user) {
    MemoryFile& file = file_of(user);
    sf_count_t base = 0;
    if (whence == SEEK_CUR) {
        base = static_cast<sf_count_t>(file.at);
    } else if (whence == SEEK_END) {
        base = static_cast<sf_count_t>(size_of(file));
    }
    const auto most = static_cast<sf_count_t>(file.writes ? kWrittenBytesMax : file.from.size());
    // A broken file may name any place: offsets are compared before they are added.
    if (offset < -base || offset > most - base) {
        return -1;
    }
    file.at = static_cast<std::size_t>(base + offset);
    return static_cast<sf_count_t>(file.at);
}

sf_count_t read(void* into, sf_count_t count, void* user) {
    MemoryFile& file = file_of(user);
    if (count <= 0 || file.writes || file.at >= file.from.size()) {
        return 0;
    }
    const std::size_t bytes = std::min(static_cast<std::size_t>(count), file.from.size() - file.at);
    std::memcpy(into, file.from.data() + file.at, bytes);
    file.at += bytes;
    return static_cast<sf_count_t>(bytes);
}

sf_count_t write(const void* from, sf_count_t count, void* user) {
    MemoryFile& file = file_of(user);
    if (count <= 0 || !file.writes) {
        return 0;
    }
    const auto bytes = static_cast<std::size_t>(count);
    if (file.at + bytes > kWrittenBytesMax) {
        return 0;
    }
    if (file.at + bytes > file.written.size()) {
        file.written.resize(file.at + bytes);
    }
    std::memcpy(file.written.data() + file.at, from, bytes);
    file.at += bytes;
    return count;
}

sf_count_t tell(void* user) {
    return static_cast<sf_count_t>(file_of(user).at);
}

}  // namespace

SF_VIRTUAL_IO MemoryFile::functions() {
    return {length, seek, read, write, tell};
}

}  // namespace trilane::sound
