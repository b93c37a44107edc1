#include "os/port.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace trilane::os {
namespace {

struct Options {
    bool reuse_address = false;
    bool reuse_port = false;
    bool any_address = false;
};

sockaddr_in address_of(std::uint16_t port, bool any = false) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/// As a child listens: an errno, or 0 with `listener` set.
int listen_on(std::uint16_t port, const Options& options, UniqueFd& listener) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (options.reuse_address) {
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (options.reuse_port) {
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
    const sockaddr_in address = address_of(port, options.any_address);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(socket.get(), 8) != 0) {
        return errno;
    }
    listener = std::move(socket);
    return 0;
}

UniqueFd connect_to(std::uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = address_of(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
        0) {
        return UniqueFd();
    }
    return socket;
}

/// One connection, closed by the listener's side first, which leaves that in TIME_WAIT.
void serve_once(const UniqueFd& listener, std::uint16_t port) {
    const UniqueFd client = connect_to(port);
    ASSERT_TRUE(client.open());
    UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server.open());
    server.reset();
    char byte = 0;
    EXPECT_EQ(::read(client.get(), &byte, 1), 0);
}

PortReservation taken() {
    auto port = PortReservation::take();
    EXPECT_TRUE(port) << port.error().message;
    return *std::move(port);
}

TEST(PortReservation, NoTwoAreTheSame) {
    std::vector<PortReservation> ports;
    std::set<std::uint16_t> numbers;
    for (int i = 0; i < 500; ++i) {
        ports.push_back(taken());
        numbers.insert(ports.back().port());
    }
    EXPECT_EQ(numbers.size(), 500U);
    EXPECT_EQ(numbers.count(0), 0U);
}

TEST(PortReservation, AChildWithEitherOptionListensAgainAndAgain) {
    for (const Options options : {Options{true, false}, Options{false, true}, Options{true, true},
                                  Options{true, false, true}, Options{false, true, true}}) {
        const PortReservation port = taken();
        EXPECT_FALSE(connect_to(port.port()).open());  // the reservation itself takes none
        for (int restart = 0; restart < 3; ++restart) {
            UniqueFd listener;
            ASSERT_EQ(listen_on(port.port(), options, listener), 0);
            for (int i = 0; i < 5; ++i) {
                serve_once(listener, port.port());
            }
        }
    }
}

TEST(PortReservation, IsGivenToNobodyWhoSetsNeither) {
    const PortReservation port = taken();
    UniqueFd listener;
    EXPECT_EQ(listen_on(port.port(), {}, listener), EADDRINUSE);
    // The same holds for a connection's source: it is bound without an option.
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in source = address_of(port.port());
    EXPECT_NE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
}

TEST(PortReservation, LetsAChildWithoutOptionsIn) {
    PortReservation port = taken();
    const std::uint16_t number = port.port();
    port.release();
    EXPECT_EQ(port.port(), number);
    {
        UniqueFd listener;
        ASSERT_EQ(listen_on(number, {}, listener), 0);
        const UniqueFd client = connect_to(number);
        EXPECT_TRUE(client.open());
        const Status held = port.retake();
        ASSERT_FALSE(held);
        EXPECT_EQ(held.error().fault, Fault::exhausted);
        EXPECT_NE(held.error().message.find(std::to_string(number)), std::string::npos);
    }
    PortReservation other = taken();
    other.release();
    ASSERT_TRUE(other.retake());
    ASSERT_TRUE(other.retake());
    UniqueFd listener;
    EXPECT_EQ(listen_on(other.port(), {}, listener), EADDRINUSE);
    EXPECT_EQ(listen_on(other.port(), {true, false}, listener), 0);
}

TEST(PortReservation, EndsWithItsLastHolder) {
    std::uint16_t number = 0;
    {
        PortReservation first = taken();
        number = first.port();
        PortReservation second = std::move(first);
        EXPECT_EQ(second.port(), number);
        UniqueFd listener;
        EXPECT_EQ(listen_on(number, {}, listener), EADDRINUSE);
    }
    UniqueFd listener;
    EXPECT_EQ(listen_on(number, {}, listener), 0);
}

}  // namespace
}  // namespace trilane::os
