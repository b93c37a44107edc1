#include "catalog/folder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "os/unique_fd.h"

namespace trilane::catalog {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kInFolder =
    IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
/// Of the nearest ancestor of a folder that is not there yet.
constexpr std::uint32_t kForFolder = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD;

}  // namespace

class FolderWatch::Watching {
public:
    Watching(std::vector<std::string> folders, std::function<void()> changed, os::UniqueFd events,
             os::UniqueFd stop)
        : folders_(std::move(folders)),
          changed_(std::move(changed)),
          events_(std::move(events)),
          stop_(std::move(stop)) {
        watch_all();
        thread_ = std::thread([this] { run(); });
    }
    ~Watching() {
        const std::uint64_t one = 1;
        static_cast<void>(::write(stop_.get(), &one, sizeof one));
        thread_.join();
    }

private:
    void watch(const fs::path& folder, std::uint32_t mask) {
        if (watches_ < kWatchesMax &&
            ::inotify_add_watch(events_.get(), folder.c_str(), mask) >= 0) {
            ++watches_;
        }
    }

    /// Adding a watch that is there changes nothing, so that everything is simply watched again.
    void watch_all() {
        watches_ = 0;
        for (const fs::path folder : folders_) {
            std::error_code failed;
            fs::path there = fs::absolute(folder, failed);
            if (fs::is_directory(there, failed)) {
                watch(there, kInFolder);
                for (fs::directory_iterator it(there, failed), end; !failed && it != end;
                     it.increment(failed)) {
                    std::error_code ignored;
                    const bool hidden = it->path().filename().string().starts_with('.');
                    if (!hidden && it->is_directory(ignored)) {
                        watch(it->path(), kInFolder);
                    }
                }
                continue;
            }
            while (there.has_parent_path() && there != there.parent_path() &&
                   !fs::is_directory(there, failed)) {
                there = there.parent_path();
            }
            watch(there, kForFolder);
        }
    }

    /// Takes the waiting events; true when one is of a name that is not hidden.
    bool take_events() const {
        bool any = false;
        alignas(inotify_event) std::array<char, 16U << 10U> buffer{};
        for (;;) {
            const ssize_t got = ::read(events_.get(), buffer.data(), buffer.size());
            if (got <= 0) {
                return any;
            }
            for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
                const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
                any = any || event->len == 0 || event->name[0] != '.';
                at += sizeof(inotify_event) + event->len;
            }
        }
    }

    void run() {
        auto first = Clock::now() - kQuietMax;
        std::optional<Clock::time_point> quiet_at = Clock::now();
        for (;;) {
            int wait_ms = -1;
            if (quiet_at) {
                wait_ms = static_cast<int>(std::max<std::int64_t>(
                    0, std::chrono::ceil<std::chrono::milliseconds>(*quiet_at - Clock::now())
                           .count()));
            }
            std::array<pollfd, 2> waiting{{{events_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
            if (::poll(waiting.data(), waiting.size(), wait_ms) < 0 && errno != EINTR) {
                return;
            }
            if (waiting[1].revents != 0) {
                return;
            }
            const auto now = Clock::now();
            if (take_events()) {
                first = quiet_at ? first : now;
                quiet_at = std::min(now + kQuiet, first + kQuietMax);
            }
            if (quiet_at && now >= *quiet_at) {
                quiet_at.reset();
                // Watch first: what changes while the others look is an event again.
                watch_all();
                changed_();
            }
        }
    }

    const std::vector<std::string> folders_;
    const std::function<void()> changed_;
    os::UniqueFd events_;
    os::UniqueFd stop_;
    std::size_t watches_ = 0;
    std::thread thread_;
};

Result<std::unique_ptr<FolderWatch>> FolderWatch::start(std::vector<std::string> folders,
                                                        std::function<void()> changed) {
    os::UniqueFd events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    os::UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
    if (!events.open() || !stop.open()) {
        return fail(Fault::exhausted,
                    "cannot watch the model folders: {}; raise fs.inotify.max_user_instances, or "
                    "restart Trilane after adding models",
                    std::system_category().message(errno));
    }
    auto watching = std::make_unique<Watching>(std::move(folders), std::move(changed),
                                               std::move(events), std::move(stop));
    return std::unique_ptr<FolderWatch>(new FolderWatch(std::move(watching)));
}

FolderWatch::FolderWatch(std::unique_ptr<Watching> watching) : watching_(std::move(watching)) {}
FolderWatch::~FolderWatch() = default;

}  // namespace trilane::catalog
