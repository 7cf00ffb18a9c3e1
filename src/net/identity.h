// A device's key, made once and kept (docs/architecture.md §5). Its id is the SHA-256 of the public key (DER
// SubjectPublicKeyInfo). Immutable; any thread.
#pragma once

#include <filesystem>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace shoal::net {

class Identity {
 public:
  // A fresh Ed25519 key with a self-signed certificate (TLS wants one; nobody checks what it says but its key).
  static Identity generate();
  // Reads `directory`/identity.pem (0600), or makes and writes it when it is missing. kCorrupt: it is there and
  // unreadable: it is left alone, for a new key would be a new device.
  static Result<Identity> load_or_create(const std::filesystem::path& directory);

  const NodeId& id() const { return id_; }
  const std::string& key_pem() const { return key_pem_; }
  const std::string& certificate_pem() const { return certificate_pem_; }

 private:
  NodeId id_;
  std::string key_pem_;
  std::string certificate_pem_;
};

}  // namespace shoal::net
