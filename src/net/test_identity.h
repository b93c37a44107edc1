// Certificates that TLS tests make themselves: an authority and servers of it. For tests only.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>

namespace trilane::net {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freed<SSL_free>>;

struct Identity {
    Key key;
    Certificate certificate;
};

inline void extend(X509* certificate, X509* issuer, int kind, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/// An authority (no issuer), or a server of the given alternative names.
inline Identity made(const Identity* issuer, const char* names, long valid_seconds = 3600) {
    Identity identity{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
    X509* certificate = identity.certificate.get();
    static std::atomic<long> serial = 1;
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), valid_seconds);
    X509_set_pubkey(certificate, identity.key.get());
    X509_NAME* name = X509_get_subject_name(certificate);
    const auto* common = reinterpret_cast<const unsigned char*>(issuer ? "leaf" : "root");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
    X509* by = issuer ? issuer->certificate.get() : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(by));
    extend(certificate, by, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (issuer) {
        extend(certificate, by, NID_subject_alt_name, names);
    }
    X509_sign(certificate, issuer ? issuer->key.get() : identity.key.get(), EVP_sha256());
    return identity;
}

inline void write_certificate(const Identity& identity, const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "w");
    PEM_write_X509(file, identity.certificate.get());
    std::fclose(file);
}

inline void write_key(const Identity& identity, const std::string& path) {
    FILE* file = std::fopen(path.c_str(), "w");
    PEM_write_PrivateKey(file, identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
}

}  // namespace trilane::net
