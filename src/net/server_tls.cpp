#include "net/server_tls.h"

#include <openssl/ssl.h>

#include <exception>

namespace trilane::net {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

Result<std::unique_ptr<ssl::context>> server_tls_context(const ServerTls& files) {
    if (files.certificate_file.empty() && files.key_file.empty()) {
        return std::unique_ptr<ssl::context>();
    }
    if (files.certificate_file.empty() || files.key_file.empty()) {
        return fail(Fault::invalid, "TLS needs both a certificate and its key; {} is missing",
                    files.key_file.empty() ? "the key" : "the certificate");
    }
    try {
        auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
        SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
        // A connection's buffers are given back while it waits.
        SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
        error_code ec;
        context->use_certificate_chain_file(files.certificate_file, ec);
        if (ec) {
            return fail(Fault::invalid, "{}: no certificate can be read from it: {}",
                        files.certificate_file, ec.message());
        }
        context->use_private_key_file(files.key_file, ssl::context::pem, ec);
        if (ec) {
            return fail(Fault::invalid, "{}: is not the private key of {}: {}", files.key_file,
                        files.certificate_file, ec.message());
        }
        return context;
    } catch (const std::exception& error) {
        return fail(Fault::unavailable, "OpenSSL cannot start: {}", error.what());
    }
}

Status check(const ServerTls& files) {
    TRILANE_TRY_STATUS(server_tls_context(files));
    return {};
}

}  // namespace trilane::net
