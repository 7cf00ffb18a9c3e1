// TLS 1.3 between two keys (RFC 8446), over memory: ciphertext is put in and taken out by whoever owns the socket.
//
// Both sides show a self-signed certificate with an Ed25519 or P-256 key. Any such key is accepted here; the peer's id
// is the SHA-256 of its public key (DER SubjectPublicKeyInfo) and the caller decides what it may do. No older version,
// no session tickets, no resumption, no early data: every handshake proves the key anew. Internal to net; one thread.
#pragma once

#include <memory>
#include <optional>

#include <openssl/types.h>

#include "base/ids.h"
#include "base/result.h"
#include "net/identity.h"

namespace shoal::net {

// SHA-256 of the certificate's public key; kUnsupported for a key that is neither Ed25519 nor P-256.
Result<NodeId> certificate_id(X509* certificate);

// What the sessions of one process share: key, certificate, settings.
class TlsContext {
 public:
  explicit TlsContext(const Identity& identity);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;

 private:
  friend class TlsSession;
  SSL_CTX* context_;
};

class TlsSession {
 public:
  enum class Role { kClient, kServer };
  TlsSession(const TlsContext& context, Role role);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;

  // Ciphertext that came from the peer; borrowed until it is used up (read() or handshake() asks for more).
  void set_input(ByteSpan ciphertext) { input_ = ciphertext; }
  // What is not used up yet.
  ByteSpan input() const { return input_; }

  // Goes on with the handshake: true when it is done, false when it needs more input. kCorrupt: it cannot succeed.
  // Either way output() may have bytes for the peer.
  Result<bool> handshake();
  // After the handshake: whose key the peer proved to hold.
  const NodeId& peer() const { return peer_; }

  // Decrypts into `into`; the count of bytes, at most one record's (16 KiB), or 0 when it needs more input.
  // kCorrupt: not TLS any more; kUnavailable: the peer ended the session.
  Result<std::size_t> read(std::span<std::uint8_t> into);
  // Encrypts all of `plain` to output().
  Status write(ByteSpan plain);

  // Ciphertext for the peer; whoever sends it clears it.
  Bytes& output() { return output_; }

 private:
  friend struct TlsBio;
  SSL* ssl_;
  ByteSpan input_;
  Bytes output_;
  NodeId peer_;
};

}  // namespace shoal::net
