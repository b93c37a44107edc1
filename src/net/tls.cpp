#include "net/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <exception>
#include <utility>

namespace trilane::net {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

bool is_address(const std::string& host) {
    error_code ec;
    boost::asio::ip::make_address(host, ec);
    return !ec;
}

}  // namespace

TlsClient::TlsClient(std::string host)
    : host_(std::move(host)), context_(ssl::context::tls_client) {}

Result<std::unique_ptr<TlsClient>> TlsClient::make(const Target& target) {
    try {
        std::unique_ptr<TlsClient> client(new TlsClient(target.host));
        ssl::context& context = client->context_;
        error_code ec;
        if (target.ca_file.empty()) {
            context.set_default_verify_paths(ec);
        } else {
            context.load_verify_file(target.ca_file, ec);
        }
        if (ec) {
            return fail(Fault::invalid,
                        "no certificates can be read from {} ({}); name a PEM file of authorities",
                        target.ca_file.empty() ? "the system's store" : target.ca_file,
                        ec.message());
        }
        context.set_verify_mode(ssl::verify_peer);
        SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
        constexpr std::array<unsigned char, 9> kHttp11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
        SSL_CTX_set_alpn_protos(context.native_handle(), kHttp11.data(), kHttp11.size());
        // A connection's buffers are given back while it waits.
        SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
        return client;
    } catch (const std::exception& error) {
        return fail(Fault::unavailable, "OpenSSL cannot start: {}", error.what());
    }
}

Result<std::unique_ptr<TlsStream>> TlsClient::wrap(StreamSocket& socket) {
    try {
        auto stream = std::make_unique<TlsStream>(socket, context_);
        if (!is_address(host_)) {
            SSL_set_tlsext_host_name(stream->native_handle(), host_.c_str());
        }
        stream->set_verify_callback(ssl::host_name_verification(host_));
        return stream;
    } catch (const std::exception& error) {
        return fail(Fault::unavailable, "OpenSSL cannot begin a connection: {}", error.what());
    }
}

std::string TlsClient::failure_of(TlsStream& stream, const error_code& ec) {
    const long verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict != X509_V_OK) {
        return fmt::format("its certificate is not accepted: {}",
                           X509_verify_cert_error_string(verdict));
    }
    return fmt::format("the TLS handshake failed: {}", ec.message());
}

}  // namespace trilane::net
