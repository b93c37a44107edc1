// ServerTlsContext: a server's certificate and key, read once. Inside of Server; not for other
// modules.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/result.h"
#include "net/server.h"

namespace trilane::net {

/// Null when `files` names none. TLS 1.2 and 1.3.
/// **Errors:** invalid: a file that cannot be read, or a key that is not the certificate's.
Result<std::unique_ptr<boost::asio::ssl::context>> server_tls_context(const ServerTls& files);

}  // namespace trilane::net
