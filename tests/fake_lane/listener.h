// Listener: sockets, and a thread for every connection that reads its requests. Threads are never
// joined: the process ends by _exit, as an engine that is killed does.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "personality.h"
#include "world.h"

namespace trilane::fake_lane {

/// More connections than that are closed at once.
inline constexpr std::uint64_t kConnectionsMax = 4096;
inline constexpr std::size_t kHeadBytesMax = std::size_t{64} << 10U;
inline constexpr std::size_t kBodyBytesMax = std::size_t{64} << 20U;

class Listener {
public:
    /// `world` and `personality` must live as long as the process.
    Listener(World& world, Personality& personality) : world_(world), personality_(personality) {}

    /// Binds and listens; connections wait in the backlog. **Errors:** unavailable.
    Status open(const Address& address);
    /// Accepts from now on, on a thread of its own.
    void start();
    /// Accepts no more; connections that are open go on.
    void close();
    /// The port that was bound; 0 for a UNIX socket.
    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    void accept_all();

    World& world_;
    Personality& personality_;
    int socket_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace trilane::fake_lane
