// Certificates for TLS tests, made on the spot: an authority of the test's own and what it signs, as PEM files in a
// folder that goes with the object.
//   const TestAuthority authority;
//   const TestCertificate server = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1");
//   ScriptedUpstream upstream(net::make_server_tls(server.certificate_file, server.key_file));
//   auto trust = net::make_client_tls(authority.file(), true);
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace weir::test {

struct TestCertificate {
  std::string certificate_file, key_file;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "weir test authority") {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-certificates-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    key_ = make_key();
    certificate_ = make(name, "", key_.get(), nullptr, key_.get(), 1);
    write(file(), certificate_.get());
  }
  ~TestAuthority() { std::filesystem::remove_all(folder_); }
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  std::string file() const { return (folder_ / "authority.pem").string(); }
  const std::filesystem::path& folder() const { return folder_; }

  // `names` as OpenSSL writes subjectAltName: "DNS:localhost,IP:127.0.0.1".
  TestCertificate issue(const std::string& common_name, const std::string& names, long days = 1) const {
    const Key key = make_key();
    return save(common_name, make(common_name, names, key.get(), certificate_.get(), key_.get(), days), key);
  }
  TestCertificate self_signed(const std::string& common_name, const std::string& names) const {
    const Key key = make_key();
    return save("self-" + common_name, make(common_name, names, key.get(), nullptr, key.get(), 1), key);
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static Key make_key() { return Key(EVP_EC_gen("P-256")); }

  // Signed by `issuer`, or by itself when that is null (an authority then, if it has no names).
  static Certificate make(const std::string& common_name, const std::string& names, EVP_PKEY* key, X509* issuer,
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
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject);
    if (!issuer && names.empty()) extend(x, NID_basic_constraints, "critical,CA:TRUE");
    if (!names.empty()) extend(x, NID_subject_alt_name, names.c_str());
    if (X509_sign(x, issuer_key, EVP_sha256()) == 0) throw std::runtime_error("cannot sign a test certificate");
    return certificate;
  }
  static void extend(X509* certificate, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    if (!extension) throw std::runtime_error(std::string("bad extension: ") + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  TestCertificate save(const std::string& name, const Certificate& certificate, const Key& key) const {
    TestCertificate saved{(folder_ / (name + ".pem")).string(), (folder_ / (name + ".key")).string()};
    write(saved.certificate_file, certificate.get());
    std::FILE* out = std::fopen(saved.key_file.c_str(), "w");
    PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    return saved;
  }
  static void write(const std::string& path, X509* certificate) {
    std::FILE* out = std::fopen(path.c_str(), "w");
    if (!out) throw std::runtime_error("cannot write " + path);
    PEM_write_X509(out, certificate);
    std::fclose(out);
  }

  std::filesystem::path folder_;
  Key key_;
  Certificate certificate_;
};

}  // namespace weir::test
