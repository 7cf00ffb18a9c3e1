#include "net/identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <filesystem>

#include <fmt/format.h>

#include "base/file.h"
#include "net/tls.h"

namespace shoal::net {
namespace {

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

std::string content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// TLS wants a certificate; nobody checks more of it than its key, so it says nothing and never expires.
Certificate self_signed(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  bool ok = x != nullptr && X509_set_version(x, X509_VERSION_3) == 1;
  ok = ok && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1;
  ok = ok && ASN1_TIME_set_string_X509(X509_getm_notBefore(x), "19700101000000Z") == 1;
  ok = ok && ASN1_TIME_set_string_X509(X509_getm_notAfter(x), "99991231235959Z") == 1;
  X509_NAME* name = ok ? X509_get_subject_name(x) : nullptr;
  ok = ok && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("shoal"), -1,
                                        -1, 0) == 1;
  ok = ok && X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 && X509_sign(x, key, nullptr) > 0;
  SHOAL_ASSERT(ok);  // fixed inputs: only a broken OpenSSL fails here
  return certificate;
}

}  // namespace

Identity Identity::generate() {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  SHOAL_ASSERT(key != nullptr);
  const Certificate certificate = self_signed(key.get());
  const Bio key_bio(BIO_new(BIO_s_mem())), certificate_bio(BIO_new(BIO_s_mem()));
  const bool ok = PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
                  PEM_write_bio_X509(certificate_bio.get(), certificate.get()) == 1;
  SHOAL_ASSERT(ok);
  Identity identity;
  identity.id_ = certificate_id(certificate.get()).value();
  identity.key_pem_ = content(key_bio.get());
  identity.certificate_pem_ = content(certificate_bio.get());
  return identity;
}

Result<Identity> Identity::load_or_create(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "identity.pem";
  std::error_code error;
  if (std::filesystem::symlink_status(path, error).type() == std::filesystem::file_type::not_found) {
    SHOAL_RETURN_IF_ERROR(make_directories(directory));
    Identity identity = generate();
    SHOAL_RETURN_IF_ERROR(write_file_atomic(path, identity.key_pem_ + identity.certificate_pem_, 0600));
    return identity;
  }
  constexpr std::uint64_t kFileBytesMax = 64 << 10;
  SHOAL_ASSIGN_OR_RETURN(const std::string pem, read_file(path, kFileBytesMax));
  const auto corrupt = [&](std::string_view what) {
    ERR_clear_error();
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {}; restore it, or remove it to become a new device", path.string(), what)};
  };
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  // An empty passphrase: OpenSSL must not ask on the terminal.
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  if (!key) return corrupt("holds no private key");
  const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return corrupt("holds no certificate");
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    return corrupt("key and certificate do not belong together");
  const auto id = certificate_id(certificate.get());
  if (!id.ok()) return corrupt(id.error().message);
  const std::size_t begin = pem.find("-----BEGIN CERTIFICATE-----");
  Identity identity;
  identity.id_ = *id;
  identity.key_pem_ = pem.substr(0, begin);
  identity.certificate_pem_ = pem.substr(begin);
  return identity;
}

}  // namespace shoal::net
