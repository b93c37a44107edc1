#include "os/port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "os/reason.h"

namespace trilane::os {
namespace {

struct Bound {
    UniqueFd socket;
    std::uint16_t port = 0;
};

/// A socket bound to that port of the loopback, 0 = any free one; an errno otherwise.
tl::expected<Bound, int> bound_to(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.open()) {
        return tl::unexpected(errno);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const int on = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
        ::bind(socket.get(), generic, size) != 0 ||
        ::getsockname(socket.get(), generic, &size) != 0) {
        return tl::unexpected(errno);
    }
    return Bound{std::move(socket), ntohs(address.sin_port)};
}

}  // namespace

Result<PortReservation> PortReservation::take() {
    auto bound = bound_to(0);
    if (!bound) {
        return fail(Fault::exhausted,
                    "no free port on 127.0.0.1 ({}); close some connections or programs",
                    reason(bound.error()));
    }
    return PortReservation(std::move(bound->socket), bound->port);
}

Status PortReservation::retake() {
    if (socket_.open()) {
        return {};
    }
    auto bound = bound_to(port_);
    if (!bound) {
        return fail(Fault::exhausted,
                    "port {} of 127.0.0.1 cannot be held again ({}); take another", port_,
                    reason(bound.error()));
    }
    socket_ = std::move(bound->socket);
    return {};
}

}  // namespace trilane::os
