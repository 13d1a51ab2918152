// Certificates for TLS tests, made on the spot: an authority of the test's own and what it signs, as PEM files in a
// folder that goes with the object.
//   const TestAuthority authority;
//   const TestCertificate server = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1");
//   ScriptedUpstream upstream(net::make_server_tls(server.certificate_file, server.key_file));
//   auto trust = net::make_client_tls(authority.file(), true);
#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace weir::test {

struct TestCertificate {
  std::string certificate_file, key_file;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "weir test authority");
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  std::string file() const;
  const std::filesystem::path& folder() const { return folder_; }

  // `names` as OpenSSL writes subjectAltName: "DNS:localhost,IP:127.0.0.1". Negative days: expired.
  TestCertificate issue(const std::string& common_name, const std::string& names, long days = 1) const;
  TestCertificate self_signed(const std::string& common_name, const std::string& names) const;

 private:
  struct Identity;  // a key and its certificate
  std::filesystem::path folder_;
  std::unique_ptr<Identity> own_;
};

}  // namespace weir::test
