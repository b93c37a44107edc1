#include "catalog/download.h"

#include <algorithm>
#include <list>
#include <optional>

#include "catalog/file_names.h"

namespace trilane::catalog {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{100};
/// A try that brought so much was no failure: its piece's tries are counted from one again.
constexpr std::uint64_t kProgressBytes = 1U << 20U;

class FileDownload {
public:
    FileDownload(Web& web, const Hub& hub, const Reference& reference, const RemoteFile& file,
                 PartFile& part, const DownloadHooks& hooks)
        : web_(web),
          hub_(hub),
          reference_(reference),
          file_(file),
          part_(part),
          hooks_(hooks),
          url_(file_url(hub, reference, file.path)) {}

    Status run();

private:
    /// A range that is being fetched; `at` is the next byte that lacks.
    struct Piece final : WebListener {
        Piece(FileDownload& of, ByteRange bytes) : owner(of), range(bytes), noted(bytes.begin) {}
        bool on_head(const WebHead& head) override { return owner.on_head(*this, head); }
        bool on_bytes(std::span<const std::byte> bytes) override {
            return owner.on_bytes(*this, bytes);
        }
        FileDownload& owner;
        ByteRange range;  ///< begin moves with what arrives
        std::uint64_t noted;
        std::uint64_t try_bytes = 0;
        unsigned tries = 0;
        Clock::time_point not_before{};
        std::optional<Error> problem;  ///< of this try
        std::unique_ptr<WebTransfer> transfer;
    };
    enum class Restart { none, changed, without_ranges };

    void cut_pieces();
    void launch();
    void launch(Piece& piece);
    bool on_head(Piece& piece, const WebHead& head);
    bool on_bytes(Piece& piece, std::span<const std::byte> bytes);
    bool identity_holds(const WebHead& head);
    Status settle(std::list<Piece>::iterator at);
    Status retry(Piece& piece, Error why);
    Status note(Piece& piece);
    Status start_anew();
    Status keep_progress(Status status);
    Status step();
    [[nodiscard]] std::uint64_t done_bytes() const;
    [[nodiscard]] milliseconds patience() const;

    Web& web_;
    const Hub& hub_;
    const Reference& reference_;
    const RemoteFile& file_;
    PartFile& part_;
    const DownloadHooks& hooks_;
    const std::string url_;
    std::list<Piece> pieces_;
    std::optional<Error> fatal_;
    Restart restart_ = Restart::none;
    unsigned restarts_ = 0;
    bool ranges_served_ = true;
    Clock::time_point hold_until_{};  ///< the hub asked everybody to wait
};

void FileDownload::cut_pieces() {
    pieces_.clear();
    const std::uint64_t piece_bytes = ranges_served_ ? std::max<std::uint64_t>(hub_.piece_bytes, 1)
                                                     : std::max<std::uint64_t>(part_.bytes(), 1);
    for (const ByteRange& range : part_.done().missing(part_.bytes(), piece_bytes)) {
        pieces_.emplace_back(*this, range);
    }
}

void FileDownload::launch(Piece& piece) {
    WebGet get{url_, hub_.token, std::nullopt};
    // The whole file is asked for plainly: any server can do that.
    if (piece.range.begin != 0 || piece.range.end != part_.bytes()) {
        get.range = piece.range;
    }
    piece.problem.reset();
    piece.try_bytes = 0;
    ++piece.tries;
    piece.transfer = web_.start(get, piece);
}

void FileDownload::launch() {
    auto active = static_cast<unsigned>(std::count_if(
        pieces_.begin(), pieces_.end(), [](const Piece& p) { return p.transfer != nullptr; }));
    const unsigned active_max = std::max(hub_.connections, 1U);
    const auto now = Clock::now();
    if (now < hold_until_) {
        return;
    }
    for (auto piece = pieces_.begin(); piece != pieces_.end() && active < active_max; ++piece) {
        if (piece->transfer == nullptr && piece->not_before <= now) {
            launch(*piece);
            ++active;
        }
    }
}

/// Whether the bytes are still those that are being put together.
bool FileDownload::identity_holds(const WebHead& head) {
    const bool hash_known = !file_.sha256.empty();
    if (head.linked && head.etag.size() == 64 && hash_known && head.etag != file_.sha256) {
        fatal_ = Error{
            Fault::unavailable,
            fmt::format("'{}' has changed since the hub listed it; pull again", shown(file_.path))};
        return false;
    }
    if (head.whole_bytes && *head.whole_bytes != part_.bytes()) {
        restart_ = Restart::changed;
        return false;
    }
    // Machines of a CDN may tag the same bytes differently; where there is a hash, it decides.
    const bool hearsay = head.elsewhere && !head.linked && hash_known;
    if (head.etag.empty() || head.etag == part_.etag() || hearsay) {
        return true;
    }
    // Without a tag so far, and nothing else that could tell: better twice than mixed.
    const bool blind = part_.etag().empty() && part_.done().bytes() > 0 && !hash_known;
    if (blind || !part_.etag().empty()) {
        restart_ = Restart::changed;
        return false;
    }
    if (Status noted = part_.note_etag(head.etag); !noted) {
        fatal_ = std::move(noted).error();
        return false;
    }
    return true;
}

bool FileDownload::on_head(Piece& piece, const WebHead& head) {
    if (!head.commit.empty() && hooks_.on_commit) {
        hooks_.on_commit(head.commit);
    }
    if (head.status == 416) {
        restart_ = Restart::changed;
        return false;
    }
    if (head.status != 200 && head.status != 206) {
        return false;
    }
    if (!identity_holds(head)) {
        return false;
    }
    const bool asked_whole = piece.range.begin == 0 && piece.range.end == part_.bytes();
    if (head.status == 200 && !asked_whole) {
        restart_ = Restart::without_ranges;
        return false;
    }
    if (head.status == 206 && (!head.range || head.range->begin != piece.range.begin ||
                               head.range->end > piece.range.end)) {
        piece.problem = Error{
            Fault::corrupt, fmt::format("the server sends other bytes of '{}' than were asked for",
                                        shown(file_.path))};
        return false;
    }
    return true;
}

bool FileDownload::on_bytes(Piece& piece, std::span<const std::byte> bytes) {
    if (bytes.size() > piece.range.end - piece.range.begin) {
        piece.problem = Error{
            Fault::corrupt,
            fmt::format("the server sends more bytes of '{}' than it listed", shown(file_.path))};
        return false;
    }
    Status wrote = part_.write(piece.range.begin, bytes);
    if (wrote) {
        piece.range.begin += bytes.size();
        piece.try_bytes += bytes.size();
        if (piece.range.begin - piece.noted >= kNoteBytes) {
            wrote = note(piece);
        }
    }
    if (!wrote) {
        fatal_ = std::move(wrote).error();
        return false;
    }
    return true;
}

Status FileDownload::note(Piece& piece) {
    const ByteRange arrived{piece.noted, piece.range.begin};
    piece.noted = piece.range.begin;
    return part_.note_done(arrived);
}

Status FileDownload::retry(Piece& piece, Error why) {
    piece.tries = piece.try_bytes >= kProgressBytes ? 1 : piece.tries;
    const WebHead head = piece.transfer->head();
    piece.transfer.reset();
    if (!ranges_served_) {
        // What has come cannot be continued.
        TRILANE_TRY_STATUS(part_.start_anew());
        piece.range.begin = piece.noted = 0;
    } else {
        TRILANE_TRY_STATUS(note(piece));
    }
    const milliseconds pause = pause_before_retry(hub_, piece.tries, head);
    if (piece.tries >= std::max(hub_.attempts, 1U) || pause > kRetryAfterMax) {
        return tl::unexpected(std::move(why));
    }
    piece.not_before = Clock::now() + pause;
    if (head.status == 429) {
        hold_until_ = std::max(hold_until_, piece.not_before);
    }
    return {};
}

Status FileDownload::settle(std::list<Piece>::iterator at) {
    Piece& piece = *at;
    const WebTransfer& transfer = *piece.transfer;
    const WebHead& head = transfer.head();
    if (piece.problem) {
        Error why = std::move(*piece.problem);
        why.message += "; try again later";
        return retry(piece, std::move(why));
    }
    const bool success = head.status == 200 || head.status == 206;
    if (success && transfer.outcome() && piece.range.begin == piece.range.end) {
        TRILANE_TRY_STATUS(note(piece));
        pieces_.erase(at);
        return {};
    }
    if (head.status != 0 && !success) {
        Error why = refusal(hub_, reference_, head);
        return worth_retrying(head) ? retry(piece, std::move(why))
                                    : Status(tl::unexpected(std::move(why)));
    }
    const std::string reason = transfer.outcome() ? "the server ended before the last byte"
                                                  : transfer.outcome().error().message;
    return retry(piece, {Fault::unavailable,
                         fmt::format("the download broke off: {}; pull again to go on, what has "
                                     "arrived is kept",
                                     reason)});
}

Status FileDownload::start_anew() {
    const Restart why = std::exchange(restart_, Restart::none);
    pieces_.clear();
    if (why == Restart::without_ranges) {
        ranges_served_ = false;
    } else if (++restarts_ > kRestartsMax) {
        return fail(Fault::unavailable,
                    "'{}' keeps changing while it is downloaded; try again later",
                    shown(file_.path));
    }
    TRILANE_TRY_STATUS(part_.start_anew());
    cut_pieces();
    return {};
}

std::uint64_t FileDownload::done_bytes() const {
    std::uint64_t bytes = part_.done().bytes();
    for (const Piece& piece : pieces_) {
        bytes += piece.range.begin - piece.noted;
    }
    return bytes;
}

milliseconds FileDownload::patience() const {
    const auto now = Clock::now();
    milliseconds least = kTick;
    for (const Piece& piece : pieces_) {
        if (piece.transfer == nullptr && piece.not_before > now) {
            least = std::min(least, std::chrono::ceil<milliseconds>(piece.not_before - now));
        }
    }
    return least;
}

Status FileDownload::keep_progress(Status status) {
    for (Piece& piece : pieces_) {
        piece.transfer.reset();
        if (ranges_served_) {
            // The first error is the one to tell.
            static_cast<void>(note(piece));
        }
    }
    pieces_.clear();
    return status;
}

Status FileDownload::step() {
    launch();
    const bool waiting = std::none_of(pieces_.begin(), pieces_.end(),
                                      [](const Piece& p) { return p.transfer != nullptr; });
    TRILANE_TRY_STATUS(hooks_.on_tick(done_bytes(), waiting));
    web_.step(patience());
    if (fatal_) {
        return tl::unexpected(std::move(*fatal_));
    }
    if (restart_ != Restart::none) {
        return start_anew();
    }
    for (auto at = pieces_.begin(); at != pieces_.end();) {
        const auto piece = at++;
        if (piece->transfer != nullptr && piece->transfer->ended()) {
            TRILANE_TRY_STATUS(settle(piece));
        }
    }
    return {};
}

Status FileDownload::run() {
    cut_pieces();
    while (!pieces_.empty()) {
        if (Status stepped = step(); !stepped) {
            return keep_progress(std::move(stepped));
        }
    }
    return hooks_.on_tick(done_bytes(), false);
}

}  // namespace

Status download_file(Web& web, const Hub& hub, const Reference& reference, const RemoteFile& file,
                     PartFile& part, const DownloadHooks& hooks) {
    return FileDownload(web, hub, reference, file, part, hooks).run();
}

}  // namespace trilane::catalog
