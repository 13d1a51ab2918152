// Who may call: every combination of what is configured, and the two ways out of a refusal.
#include "app/client_mode.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "app/config_support.hpp"
#include "support/certificates.hpp"

namespace weir::app {
namespace {

using proxy::ClientMode;

constexpr bool yes = true, no = false;

struct ModeCase {
  const char* name;
  std::optional<ClientMode> asked;
  bool has_keys, has_provider_key, loopback_only, open_anywhere;
  std::optional<ClientMode> mode;  // nullopt: weir does not start
};

class ChoosingTheMode : public testing::TestWithParam<ModeCase> {};

TEST_P(ChoosingTheMode, FollowsFromWhatIsConfigured) {
  const ModeCase& c = GetParam();
  const auto choice = choose_mode({c.asked, c.has_keys, c.has_provider_key, c.loopback_only, c.open_anywhere});
  if (c.mode) {
    ASSERT_TRUE(std::holds_alternative<ModeChoice>(choice)) << std::get<std::string>(choice);
    EXPECT_EQ(std::get<ModeChoice>(choice).mode, *c.mode);
    EXPECT_FALSE(std::get<ModeChoice>(choice).reason.empty());
  } else {
    EXPECT_TRUE(std::holds_alternative<std::string>(choice));
  }
}

constexpr ModeCase modes[] = {
    {"NoProviderKeyOnLoopback", {}, no, no, yes, no, ClientMode::pass_through},
    {"NoProviderKeyAnywhere", {}, no, no, no, no, ClientMode::pass_through},
    {"NoProviderKeyAnywhereAndOpen", {}, no, no, no, yes, ClientMode::pass_through},
    {"ProviderKeyOnLoopback", {}, no, yes, yes, no, ClientMode::open},
    {"ProviderKeyBeyondLoopback", {}, no, yes, no, no, std::nullopt},
    {"ProviderKeyBeyondLoopbackOpenAnywhere", {}, no, yes, no, yes, ClientMode::open},
    {"KeysAndProviderKeyBeyondLoopback", {}, yes, yes, no, no, ClientMode::keys},
    {"KeysAndProviderKeyOnLoopback", {}, yes, yes, yes, no, ClientMode::keys},
    {"KeysWithoutProviderKey", {}, yes, no, yes, no, ClientMode::keys},
    {"KeysWinOverOpenAnywhere", {}, yes, yes, no, yes, ClientMode::keys},
    {"AskedForKeysWithoutAny", ClientMode::keys, no, yes, yes, no, std::nullopt},
    {"AskedForKeysWithSome", ClientMode::keys, yes, yes, no, no, ClientMode::keys},
    {"AskedForPassThrough", ClientMode::pass_through, no, no, no, no, ClientMode::pass_through},
    {"AskedForPassThroughWithProviderKey", ClientMode::pass_through, no, yes, yes, no, std::nullopt},
    {"AskedForOpenOnLoopback", ClientMode::open, no, yes, yes, no, ClientMode::open},
    {"AskedForOpenBeyondLoopback", ClientMode::open, no, yes, no, no, std::nullopt},
    {"AskedForOpenBeyondLoopbackDespiteKeys", ClientMode::open, yes, yes, no, no, std::nullopt},
    {"AskedForOpenAnywhere", ClientMode::open, no, yes, no, yes, ClientMode::open},
    {"AskedForOpenWithoutProviderKeyBeyondLoopback", ClientMode::open, no, no, no, no, ClientMode::open},
};
INSTANTIATE_TEST_SUITE_P(Table, ChoosingTheMode, testing::ValuesIn(modes),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ChoosingTheMode, TheRefusalNamesBothWaysOut) {
  const std::string message = refusal(with_config("listen: 0.0.0.0:8080\n", {{"OPENAI_API_KEY", "sk-o"}}));
  EXPECT_TRUE(message.starts_with("/etc/weir/weir.yaml:1:9: ")) << message;
  EXPECT_NE(message.find("configure `keys`"), std::string::npos) << message;
  EXPECT_NE(message.find("weir new-key"), std::string::npos) << message;
  EXPECT_NE(message.find("clients.open: anywhere"), std::string::npos) << message;
  EXPECT_NE(message.find("WEIR_CLIENTS_OPEN=anywhere"), std::string::npos) << message;
}

TEST(ChoosingTheMode, OneAddressBeyondLoopbackIsEnough) {
  const std::string yaml = "listen: [localhost:8080, \"[::]:8080\"]\n";
  EXPECT_NE(refusal(with_config(yaml, {{"OPENAI_API_KEY", "sk-o"}})), "accepted");
  EXPECT_EQ(refusal(with_config("listen: [localhost:8080, \"127.0.0.2:8080\"]\n", {{"OPENAI_API_KEY", "sk-o"}})),
            "accepted");
}

TEST(ChoosingTheMode, TheRefusalPointsAtWhatWasAsked) {
  EXPECT_EQ(refusal(with_config("workers: 1\nclients: {mode: keys}\n", {{"OPENAI_API_KEY", "sk-o"}})).substr(0, 25),
            "/etc/weir/weir.yaml:2:1: ");
  EXPECT_EQ(refusal({{{"OPENAI_API_KEY", "sk-o"}, {"WEIR_LISTEN", "0.0.0.0:80"}}, {}}).substr(0, 13), "WEIR_LISTEN: ");
}

TEST(ChoosingTheMode, ClientsAndOperatorsHaveDoorsOfTheirOwn) {
  const std::string upstream = "upstreams: [{name: a, provider: openai}]\n";
  EXPECT_EQ(
      refusal(with_config(upstream + "listen: 127.0.0.1:9000\noperator:\n  listen: localhost:9000\n")),
      "/etc/weir/weir.yaml:4:11: operator.listen and listen are both 127.0.0.1:9000, so that each connection would go "
      "to either; give one another port\n");
  const std::string with_the_default_of_the_other = refusal(with_config(upstream + "listen: localhost:8081\n"));
  EXPECT_TRUE(with_the_default_of_the_other.starts_with("/etc/weir/weir.yaml:2:9: operator.listen and listen are both"))
      << with_the_default_of_the_other;
  EXPECT_EQ(refusal(with_config(upstream + "listen: localhost:0\noperator: {listen: \"localhost:0\"}\n")), "accepted");
  EXPECT_EQ(refusal(with_config(upstream + "listen: 127.0.0.2:8081\n")), "accepted");
}

TEST(ChoosingTheMode, FilesOfTlsHaveToBeThere) {
  World world = with_config(
      "clients: {tls: {certificate: /cert.pem, key: /key.pem}}\nupstreams:\n  - {name: a, provider: openai, ca_file: "
      "/ca.pem}\n");
  EXPECT_EQ(refusal(world),
            "/etc/weir/weir.yaml:1:30: clients.tls.certificate: the file '/cert.pem' cannot be read\n"
            "/etc/weir/weir.yaml:1:46: clients.tls.key: the file '/key.pem' cannot be read\n"
            "/etc/weir/weir.yaml:3:42: upstreams[0].ca_file: the file '/ca.pem' cannot be read\n");
}

TEST(ChoosingTheMode, ACertificateWithoutItsKeyIsOneProblem) {
  World world = with_config("clients: {tls: {certificate: /cert.pem}}\nupstreams: [{name: a, provider: openai}]\n");
  for (const bool there : {false, true}) {
    if (there) world.files["/cert.pem"] = "there";
    EXPECT_EQ(refusal(world), "/etc/weir/weir.yaml:1:11: clients.tls: 'certificate' and 'key' are needed, both\n");
  }
}

// A configuration of these files, which are there.
World with_tls(const std::string& certificate, const std::string& key, const std::string& authorities) {
  World world = with_config("clients: {tls: {certificate: " + certificate + ", key: " + key +
                            "}}\nupstreams:\n  - {name: a, provider: openai, ca_file: " + authorities + "}\n");
  for (const std::string& file : {certificate, key, authorities}) world.files[file] = "there";
  return world;
}

TEST(ChoosingTheMode, FilesOfTlsHaveToHoldWhatTheyAreNamedFor) {
  const test::TestAuthority authority;
  const test::TestCertificate own = authority.issue("localhost", "DNS:localhost");
  const test::TestCertificate other = authority.issue("other", "DNS:other");
  const std::string garbage = (authority.folder() / "garbage").string();
  std::ofstream(garbage) << "hello\n";
  EXPECT_EQ(refusal(with_tls(own.certificate_file, own.key_file, authority.file())), "accepted");
  const auto begins = [](const World& world, const std::string& setting, const std::string& file, const char* what) {
    const std::string text = refusal(world);
    EXPECT_TRUE(text.starts_with(setting + ": TLS: cannot use " + file + " as the PEM file of " + what + ": ")) << text;
    return text;
  };
  const std::string clients = "/etc/weir/weir.yaml:1:11: clients.tls";
  begins(with_tls(garbage, own.key_file, authority.file()), clients, garbage, "the certificate");
  begins(with_tls(own.certificate_file, garbage, authority.file()), clients, garbage, "the certificate's key");
  begins(with_tls(own.certificate_file, own.key_file, garbage), "/etc/weir/weir.yaml:3:42: upstreams[0].ca_file",
         garbage, "certificate authorities");
  const std::string mismatch = begins(with_tls(own.certificate_file, other.key_file, authority.file()), clients,
                                      other.key_file, "the certificate's key");
  EXPECT_TRUE(mismatch.ends_with("key values mismatch\n")) << mismatch;
}

TEST(ChoosingTheMode, TheOperatorListenerNeedsATokenBeyondLoopback) {
  const std::string upstream = "upstreams: [{name: a, provider: openai}]\n";
  EXPECT_EQ(refusal(with_config(upstream + "operator:\n  listen: 0.0.0.0:8081\n")),
            "/etc/weir/weir.yaml:3:11: operator.listen is not a loopback address, so operator.token "
            "(WEIR_OPERATOR_TOKEN) is needed\n");
  EXPECT_EQ(refusal(with_config(upstream + "operator: {listen: \"0.0.0.0:8081\", token: t0ken}\n")), "accepted");
  EXPECT_EQ(
      refusal(with_config(upstream + "operator: {listen: \"0.0.0.0:8081\"}\n", {{"WEIR_OPERATOR_TOKEN", "t0ken"}})),
      "accepted");
  EXPECT_EQ(refusal(with_config(upstream + "operator: {listen: \"[::1]:8081\"}\n")), "accepted");
}

}  // namespace
}  // namespace weir::app
