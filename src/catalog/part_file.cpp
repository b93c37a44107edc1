#include "catalog/part_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

namespace trilane::catalog {
namespace {

constexpr std::string_view kPart = ".part";
constexpr std::string_view kJournal = ".journal";
constexpr std::string_view kMagic = "trilane-part 1 ";
constexpr std::size_t kJournalBytesMax = 16U << 20U;
constexpr std::size_t kHashPieceBytes = 1U << 20U;

/// The same of a file that comes piece by piece.
tl::unexpected<Error> arriving_error(int error_number, const std::string& path,
                                     std::string_view doing) {
    Error error = disk_error(error_number, path, doing);
    if (error.fault == Fault::exhausted) {
        error.message += ": what has arrived is kept";
    }
    return tl::unexpected(std::move(error));
}

Status write_all(int fd, std::span<const std::byte> data, std::optional<std::uint64_t> offset,
                 const std::string& path) {
    while (!data.empty()) {
        const ssize_t wrote =
            offset ? ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(*offset))
                   : ::write(fd, data.data(), data.size());
        if (wrote < 0) {
            if (errno == EINTR) {
                continue;
            }
            return arriving_error(errno, path, "write");
        }
        data = data.subspan(static_cast<std::size_t>(wrote));
        if (offset) {
            *offset += static_cast<std::uint64_t>(wrote);
        }
    }
    return {};
}

std::optional<std::string> read_text(int fd) {
    std::string text;
    std::string piece(64U << 10U, '\0');
    for (;;) {
        const ssize_t got =
            ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(text.size()));
        if (got == 0) {
            return text;
        }
        if (got < 0 || text.size() + static_cast<std::size_t>(got) > kJournalBytesMax) {
            return std::nullopt;
        }
        text.append(piece, 0, static_cast<std::size_t>(got));
    }
}

/// "done 0 1024"
std::optional<ByteRange> read_range(std::string_view words) {
    ByteRange range;
    const char* end = words.data() + words.size();
    const auto first = std::from_chars(words.data(), end, range.begin);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') {
        return std::nullopt;
    }
    const auto second = std::from_chars(first.ptr + 1, end, range.end);
    if (second.ec != std::errc() || second.ptr != end || range.begin >= range.end) {
        return std::nullopt;
    }
    return range;
}

std::string one_line(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20) {
            c = ' ';
        }
    }
    return out;
}

std::string hexadecimal(const std::vector<unsigned char>& bytes, unsigned length) {
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
        hex += fmt::format("{:02x}", bytes[i]);
    }
    return hex;
}

}  // namespace

Error disk_error(int error_number, const std::string& path, std::string_view doing) {
    const std::string why = std::system_category().message(error_number);
    switch (error_number) {
        case ENOSPC:
        case EDQUOT:
            return {Fault::exhausted,
                    fmt::format("cannot {} {}: {}; free space and try again", doing, path, why)};
        case EFBIG:
            return {
                Fault::exhausted,
                fmt::format("cannot {} {}: {}; raise the limit on the size of files (ulimit -f) "
                            "or use another file system",
                            doing, path, why)};
        default:
            return {Fault::unavailable,
                    fmt::format("cannot {} {}: {}; check its folder and permissions", doing, path,
                                why)};
    }
}

Result<PartFile> PartFile::open(std::string path, std::uint64_t bytes, std::string_view identity) {
    PartFile file;
    file.part_path_ = path + std::string(kPart);
    file.journal_path_ = path + std::string(kJournal);
    file.identity_ = one_line(identity);
    file.bytes_ = bytes;
    file.part_ = os::UniqueFd(::open(file.part_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file.part_.open()) {
        return arriving_error(errno, file.part_path_, "open");
    }
    file.journal_ = os::UniqueFd(
        ::open(file.journal_path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!file.journal_.open()) {
        return arriving_error(errno, file.journal_path_, "open");
    }
    if (!file.read_journal(file.identity_)) {
        TRILANE_TRY_STATUS(file.start_anew());
    }
    return file;
}

bool PartFile::read_journal(std::string_view identity) {
    struct stat facts {};
    if (::fstat(part_.get(), &facts) != 0 || static_cast<std::uint64_t>(facts.st_size) != bytes_) {
        return false;
    }
    const std::optional<std::string> text = read_text(journal_.get());
    if (!text || text->empty() || text->back() != '\n') {
        // A torn line could be continued by the next one: drop what it would spoil.
        if (!text || text->find('\n') == std::string::npos ||
            ::ftruncate(journal_.get(), static_cast<off_t>(text->rfind('\n') + 1)) != 0) {
            return false;
        }
    }
    std::string_view rest = *text;
    for (bool first = true; !rest.empty(); first = false) {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) {
            break;
        }
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(end + 1);
        if (first) {
            if (line != fmt::format("{}{} {}", kMagic, bytes_, identity)) {
                return false;
            }
        } else if (line.starts_with("etag ")) {
            etag_ = line.substr(5);
        } else if (line.starts_with("done ")) {
            const auto range = read_range(line.substr(5));
            if (!range || range->end > bytes_) {
                return false;
            }
            done_.add(*range);
        } else {
            return false;
        }
    }
    return true;
}

Status PartFile::start_anew() {
    done_.clear();
    etag_.clear();
    // The journal first: were this to end between the two, nothing may count as done.
    if (::ftruncate(journal_.get(), 0) != 0) {
        return arriving_error(errno, journal_path_, "shorten");
    }
    if (::ftruncate(part_.get(), 0) != 0 ||
        ::ftruncate(part_.get(), static_cast<off_t>(bytes_)) != 0) {
        return arriving_error(errno, part_path_, "resize");
    }
    return append(fmt::format("{}{} {}\n", kMagic, bytes_, identity_));
}

Status PartFile::append(std::string_view line) {
    return write_all(journal_.get(), std::as_bytes(std::span(line)), std::nullopt, journal_path_);
}

Status PartFile::write(std::uint64_t offset, std::span<const std::byte> data) {
    return write_all(part_.get(), data, offset, part_path_);
}

Status PartFile::note_done(ByteRange range) {
    if (range.begin >= range.end) {
        return {};
    }
    if (::fdatasync(part_.get()) != 0) {
        return arriving_error(errno, part_path_, "write");
    }
    TRILANE_TRY_STATUS(append(fmt::format("done {} {}\n", range.begin, range.end)));
    done_.add(range);
    return {};
}

Status PartFile::note_etag(std::string etag) {
    etag_ = one_line(etag);
    return append(fmt::format("etag {}\n", etag_));
}

void PartFile::discard(const std::string& path) {
    ::unlink((path + std::string(kJournal)).c_str());
    ::unlink((path + std::string(kPart)).c_str());
}

Status PartFile::finish(PartFile part, const std::string& path) {
    if (::fsync(part.part_.get()) != 0 || ::rename(part.part_path_.c_str(), path.c_str()) != 0) {
        return tl::unexpected(disk_error(errno, path, "place"));
    }
    ::unlink(part.journal_path_.c_str());
    return {};
}

Result<std::string> sha256_of(const std::string& path, const CancelToken& cancel,
                              const std::function<void(std::uint64_t)>& on_bytes) {
    const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.open()) {
        return tl::unexpected(disk_error(errno, path, "open"));
    }
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(::EVP_MD_CTX_new(),
                                                                  &::EVP_MD_CTX_free);
    if (!hash || ::EVP_DigestInit_ex(hash.get(), ::EVP_sha256(), nullptr) != 1) {
        return fail(Fault::internal, "OpenSSL offers no SHA-256; check its installation");
    }
    std::vector<std::byte> piece(kHashPieceBytes);
    for (;;) {
        if (cancel.cancelled()) {
            return fail(Fault::cancelled, "stopped while checking {}", path);
        }
        const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected(disk_error(errno, path, "read"));
        }
        if (got == 0) {
            break;
        }
        ::EVP_DigestUpdate(hash.get(), piece.data(), static_cast<std::size_t>(got));
        on_bytes(static_cast<std::uint64_t>(got));
    }
    std::vector<unsigned char> digest(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    ::EVP_DigestFinal_ex(hash.get(), digest.data(), &length);
    return hexadecimal(digest, length);
}

std::string sha256_of_text(std::string_view text) {
    std::vector<unsigned char> digest(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    ::EVP_Digest(text.data(), text.size(), digest.data(), &length, ::EVP_sha256(), nullptr);
    return hexadecimal(digest, length);
}

}  // namespace trilane::catalog
