#include "support/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <stdexcept>

namespace weir::test {
namespace {

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, Free>;

void extend(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  if (!extension) throw std::runtime_error(std::string("bad extension: ") + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself when that is null (an authority then, if it has no names).
Certificate make(const std::string& common_name, const std::string& names, EVP_PKEY* key, X509* issuer,
                 EVP_PKEY* issuer_key, long days) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  static long serial = 1000;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -2 * 86'400);
  X509_gmtime_adj(X509_getm_notAfter(x), days * 86'400);  // negative: expired
  X509_set_pubkey(x, key);
  X509_NAME* subject = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()),
                             -1, -1, 0);
  X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject);
  if (!issuer && names.empty()) extend(x, NID_basic_constraints, "critical,CA:TRUE");
  if (!names.empty()) extend(x, NID_subject_alt_name, names.c_str());
  if (X509_sign(x, issuer_key, EVP_sha256()) == 0) throw std::runtime_error("cannot sign a test certificate");
  return certificate;
}

void write(const std::string& path, X509* certificate) {
  std::FILE* out = std::fopen(path.c_str(), "w");
  if (!out) throw std::runtime_error("cannot write " + path);
  PEM_write_X509(out, certificate);
  std::fclose(out);
}

TestCertificate save(const std::filesystem::path& folder, const std::string& name, X509* certificate, EVP_PKEY* key) {
  TestCertificate saved{(folder / (name + ".pem")).string(), (folder / (name + ".key")).string()};
  write(saved.certificate_file, certificate);
  std::FILE* out = std::fopen(saved.key_file.c_str(), "w");
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  return saved;
}

}  // namespace

struct TestAuthority::Identity {
  struct FreeKey {
    void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
  };
  std::unique_ptr<EVP_PKEY, FreeKey> key{EVP_EC_gen("P-256")};
  Certificate certificate;
};

TestAuthority::TestAuthority(const std::string& name) : own_(std::make_unique<Identity>()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "weir-certificates-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  own_->certificate = make(name, "", own_->key.get(), nullptr, own_->key.get(), 1);
  write(file(), own_->certificate.get());
}

TestAuthority::~TestAuthority() {
  std::filesystem::remove_all(folder_);
}

std::string TestAuthority::file() const {
  return (folder_ / "authority.pem").string();
}

TestCertificate TestAuthority::issue(const std::string& common_name, const std::string& names, long days) const {
  Identity server;
  server.certificate = make(common_name, names, server.key.get(), own_->certificate.get(), own_->key.get(), days);
  return save(folder_, common_name, server.certificate.get(), server.key.get());
}

TestCertificate TestAuthority::self_signed(const std::string& common_name, const std::string& names) const {
  Identity server;
  server.certificate = make(common_name, names, server.key.get(), nullptr, server.key.get(), 1);
  return save(folder_, "self-" + common_name, server.certificate.get(), server.key.get());
}

}  // namespace weir::test
