// TlsClient: what a client needs to speak TLS to one server. Certificates and the host's name are
// always verified.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "net/client.h"
#include "net/loop.h"

namespace trilane::net {

using StreamSocket =
    boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;
using TlsStream = boost::asio::ssl::stream<StreamSocket&>;

/// **Threads:** any, once made.
class TlsClient {
public:
    /// **Errors:** invalid: the target's ca_file cannot be read; unavailable: OpenSSL cannot start.
    static Result<std::unique_ptr<TlsClient>> make(const Target& target);

    /// A stream over a connected socket, ready for its handshake.
    Result<std::unique_ptr<TlsStream>> wrap(StreamSocket& socket);

    /// Why a handshake failed, for a person.
    static std::string failure_of(TlsStream& stream, const boost::system::error_code& ec);

private:
    explicit TlsClient(std::string host);

    const std::string host_;
    boost::asio::ssl::context context_;
};

}  // namespace trilane::net
