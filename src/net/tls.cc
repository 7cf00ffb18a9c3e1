#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

#include <fmt/format.h>

namespace shoal::net {

// The BIO through which OpenSSL reads the borrowed input and appends to the output: no copy in between.
struct TlsBio {
  static TlsSession& session(BIO* bio) { return *static_cast<TlsSession*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, std::size_t size, std::size_t* done) {
    BIO_clear_retry_flags(bio);
    ByteSpan& input = session(bio).input_;
    *done = std::min(size, input.size());
    if (*done == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::copy_n(input.begin(), *done, reinterpret_cast<std::uint8_t*>(to));
    input = input.subspan(*done);
    return 1;
  }
  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* done) {
    BIO_clear_retry_flags(bio);
    Bytes& output = session(bio).output_;
    output.insert(output.end(), from, from + size);
    *done = size;
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "shoal");
      SHOAL_ASSERT(made != nullptr);
      BIO_meth_set_read_ex(made, &read);
      BIO_meth_set_write_ex(made, &write);
      BIO_meth_set_ctrl(made, &control);
      return made;
    }();
    return method;
  }
};

namespace {

// The reason of OpenSSL's last error, for a person; the queue is empty afterwards.
std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string text = reason == nullptr ? "no reason given" : reason;
  ERR_clear_error();
  return text;
}

// Replaces OpenSSL's chain verification: there is no chain, only a key, and who may do what is decided by its id.
int accept_any_usable_key(X509_STORE_CTX* store, void*) {
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (leaf != nullptr && certificate_id(leaf).ok()) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

}  // namespace

Result<NodeId> certificate_id(X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  char group[32] = "";
  const bool usable = key != nullptr && (EVP_PKEY_is_a(key, "ED25519") == 1 ||
                                         (EVP_PKEY_is_a(key, "EC") == 1 &&
                                          EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
                                          std::string_view(group) == "prime256v1"));
  ERR_clear_error();
  if (!usable) return Error{ErrorCode::kUnsupported, "the key is neither Ed25519 nor P-256"};
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  SHOAL_ASSERT(size > 0);
  const NodeId id{Sha256::of({der, static_cast<std::size_t>(size)})};
  OPENSSL_free(der);
  return id;
}

TlsContext::TlsContext(const Identity& identity) : context_(SSL_CTX_new(TLS_method())) {
  constexpr long kCertificateBytesMax = 8 << 10;  // ours take 300
  bool ok = context_ != nullptr && SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(context_, TLS1_3_VERSION) == 1 &&
            SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
            SSL_CTX_set1_groups_list(context_, "X25519:P-256") == 1 && SSL_CTX_set_num_tickets(context_, 0) == 1;
  SHOAL_ASSERT(ok);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context_, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context_, kCertificateBytesMax);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context_, &accept_any_usable_key, nullptr);

  BIO* key_bio = BIO_new_mem_buf(identity.key_pem().data(), static_cast<int>(identity.key_pem().size()));
  BIO* certificate_bio =
      BIO_new_mem_buf(identity.certificate_pem().data(), static_cast<int>(identity.certificate_pem().size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  X509* certificate = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  ok = key != nullptr && certificate != nullptr && SSL_CTX_use_certificate(context_, certificate) == 1 &&
       SSL_CTX_use_PrivateKey(context_, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  BIO_free(certificate_bio);
  BIO_free(key_bio);
  SHOAL_ASSERT(ok);  // an Identity holds a checked pair
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

TlsSession::TlsSession(const TlsContext& context, Role role) : ssl_(SSL_new(context.context_)) {
  BIO* bio = BIO_new(TlsBio::method());
  SHOAL_ASSERT(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (role == Role::kServer) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

Result<bool> TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) {
    if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
    return Error{ErrorCode::kCorrupt, fmt::format("TLS handshake failed: {}", openssl_reason())};
  }
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return Error{ErrorCode::kCorrupt, "TLS handshake failed: the peer showed no key"};
  SHOAL_ASSIGN_OR_RETURN(peer_, certificate_id(certificate));
  return true;
}

Result<std::size_t> TlsSession::read(std::span<std::uint8_t> into) {
  ERR_clear_error();
  std::size_t count = 0;
  const int result = SSL_read_ex(ssl_, into.data(), into.size(), &count);
  if (result == 1) return count;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return std::size_t{0};
    case SSL_ERROR_ZERO_RETURN:
      return Error{ErrorCode::kUnavailable, "the peer closed the link"};
    default:
      return Error{ErrorCode::kCorrupt, fmt::format("TLS failed: {}", openssl_reason())};
  }
}

Status TlsSession::write(ByteSpan plain) {
  ERR_clear_error();
  std::size_t count = 0;
  if (SSL_write_ex(ssl_, plain.data(), plain.size(), &count) != 1 || count != plain.size()) {
    return Error{ErrorCode::kInternal, fmt::format("TLS failed to encrypt: {}", openssl_reason())};
  }
  return {};
}

}  // namespace shoal::net
