// Values that have the right type and still cannot be meant: refused where they stand, with what to write instead.
#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

class ConfigValues : public testing::TestWithParam<WrongConfig> {};

TEST_P(ConfigValues, AreRefusedWithWhatToWrite) {
  EXPECT_EQ(read(GetParam().yaml).problems, GetParam().problems);
}

constexpr WrongConfig general[] = {
    {"Version", "version: 2\nformat: new\n",
     "weir.yaml:1:10: version: expected 1, the only version of this file's format that weir " WEIR_VERSION
     " knows; found '2'. The rest was not read\n"},
    {"NoWorkers", "workers: 0\n",
     "weir.yaml:1:10: workers: expected a whole number from 1 to 1024, or auto; found '0'\n"},
    {"LogLevel", "log: {level: verbose}\n",
     "weir.yaml:1:14: log.level: expected one of trace, debug, info, warn, error; found 'verbose'\n"},
    {"LogStream", "log: {stream: file}\n",
     "weir.yaml:1:15: log.stream: expected one of stderr, stdout; found 'file'\n"},
    {"AfterSend", "retry: {after_send: always}\n",
     "weir.yaml:1:21: retry.after_send: expected one of budgeted, off; found 'always'\n"},
    {"ListenOnAName", "listen: weir.example.com:80\n",
     "weir.yaml:1:9: listen: expected an IP address or localhost, found 'weir.example.com:80'\n"},
    {"OneOfSeveralListeners", "listen: [localhost:8080, \"::1:80\"]\n",
     "weir.yaml:1:26: listen: put an IPv6 address in brackets, such as [::1]:8080; found '::1:80'\n"},
    {"NoListener", "listen: []\n", "weir.yaml:1:9: listen: expected an address such as localhost:8080\n"},
    {"OperatorListener", "operator:\n  listen: 8081\n",
     "weir.yaml:2:11: operator.listen: expected host:port, found '8081'; write localhost:8081\n"},
    {"TokenWithALineEnd", "operator: {token: \"abc\\n\"}\n",
     "weir.yaml:1:19: operator.token: the secret has a space, a line end or a control character in it\n"},
    {"HeaderCount", "limits: {header_count_max: 7}\n",
     "weir.yaml:1:28: limits.header_count_max: expected a whole number from 8 to 10000, found '7'\n"},
};
INSTANTIATE_TEST_SUITE_P(General, ConfigValues, testing::ValuesIn(general), name_of);

constexpr WrongConfig clients[] = {
    {"Mode", "clients: {mode: closed}\n",
     "weir.yaml:1:17: clients.mode: expected one of keys, pass-through, open; found 'closed'\n"},
    {"Open", "clients: {open: yes}\n",
     "weir.yaml:1:17: clients.open: expected one of loopback, anywhere; found 'yes'\n"},
    {"HostWithAScheme", "clients:\n  hosts: [a.example.com, \"https://b.example.com\"]\n",
     "weir.yaml:2:26: clients.hosts: expected a host name without scheme, port and path, such as weir.example.com\n"},
    {"HostWithAPort", "clients: {hosts: [\"[::1]\", \"a.example.com:80\"]}\n",
     "weir.yaml:1:28: clients.hosts: expected a host name without scheme, port and path, such as weir.example.com\n"},
    {"EveryOrigin", "clients: {origins: [\"*\"]}\n",
     "weir.yaml:1:21: clients.origins: each web page that may call is listed by its origin: '*' would let all of them "
     "spend the key\n"},
    {"OriginWithoutAScheme", "clients: {origins: [app.example.com]}\n",
     "weir.yaml:1:21: clients.origins: expected an origin such as https://app.example.com, found 'app.example.com'\n"},
    {"OriginWithASlash", "clients: {origins: [\"https://app.example.com/\"]}\n",
     "weir.yaml:1:21: clients.origins: an origin has no slash at its end: 'https://app.example.com/'\n"},
    {"CertificateWithoutItsKey", "clients:\n  tls: {certificate: a.pem}\n",
     "weir.yaml:2:3: clients.tls: 'certificate' and 'key' are needed, both\n"},
};
INSTANTIATE_TEST_SUITE_P(Clients, ConfigValues, testing::ValuesIn(clients), name_of);

constexpr WrongConfig upstreams[] = {
    {"WithoutAName", "upstreams:\n  - provider: openai\n", "weir.yaml:2:5: upstreams[0]: 'name' is missing\n"},
    {"BadName", "upstreams:\n  - {name: \"a b\", provider: openai}\n",
     "weir.yaml:2:12: upstreams[0].name: expected 1 to 64 letters, digits, '.', '_' or '-'\n"},
    {"UrlWithoutAScheme", "upstreams:\n  - {name: a, base_url: api.deepseek.com}\n",
     "weir.yaml:2:25: upstreams[0].base_url: expected a URL with its scheme, such as https://api.deepseek.com\n"},
    {"UrlOfAnEndpoint", "upstreams:\n  - {name: a, base_url: \"https://h/v1/chat/completions\"}\n",
     "weir.yaml:2:25: upstreams[0].base_url: this is the address of one endpoint; the base URL is https://h/v1\n"},
    {"UrlWithAKey", "upstreams:\n  - {name: a, base_url: \"https://sk-secret@h\"}\n",
     "weir.yaml:2:25: upstreams[0].base_url: put the key into api_key, not into the URL\n"},
    {"KeyWithASpace", "upstreams:\n  - {name: a, api_key: \"Bearer sk-secret\"}\n",
     "weir.yaml:2:24: upstreams[0].api_key: the secret has a space, a line end or a control character in it\n"},
    {"ShareOfNothing", "upstreams:\n  - {name: a, share: 0}\n",
     "weir.yaml:2:22: upstreams[0].share: expected a number from 1e-06 to 1, found '0'\n"},
    {"ShareInPercent", "upstreams:\n  - {name: a, share: 25%}\n",
     "weir.yaml:2:22: upstreams[0].share: expected a number from 1e-06 to 1, found '25%'\n"},
    {"QueryWithItsMark", "upstreams:\n  - {name: a, query: \"?api-version=1\"}\n",
     "weir.yaml:2:22: upstreams[0].query: expected what follows the '?' of a URL, such as api-version=2024-10-21\n"},
    {"HeaderOfTheConnection", "upstreams:\n  - name: a\n    headers: {Host: h}\n",
     "weir.yaml:3:14: upstreams[0].headers: 'Host' is set by weir itself\n"},
    {"HeaderWithTheKey", "upstreams:\n  - name: a\n    headers: {Authorization: Bearer sk-secret}\n",
     "weir.yaml:3:14: upstreams[0].headers: put the key of 'Authorization' into api_key\n"},
    {"HeaderThatBreaksOut", "upstreams:\n  - name: a\n    headers: {x-a: \"1\\r\\nx-b: 2\"}\n",
     "weir.yaml:3:14: upstreams[0].headers: the value of 'x-a' has a line end or a control character in it\n"},
    {"ParameterAction", "upstreams:\n  - name: a\n    models:\n      m: {parameters: {top_p: remove}}\n",
     "weir.yaml:4:31: upstreams[0].models.m.parameters.top_p: expected one of forward, ignore, drop, reject; found "
     "'remove'\n"},
};
INSTANTIATE_TEST_SUITE_P(Upstreams, ConfigValues, testing::ValuesIn(upstreams), name_of);

constexpr WrongConfig wrong_keys[] = {
    {"WithoutNameAndHash", "keys:\n  - {team: a}\n",
     "weir.yaml:2:5: keys[0]: 'name' is missing\nweir.yaml:2:5: keys[0]: 'hash' is missing\n"},
    {"TheKeyItself", "keys:\n  - {name: a, hash: sk-weir-abc}\n",
     "weir.yaml:2:21: keys[0].hash: this is a key, not its hash: put the key away and write what `weir hash-key` "
     "prints\n"},
    {"HashTooShort", "keys:\n  - {name: a, hash: \"sha256:12\"}\n",
     "weir.yaml:2:21: keys[0].hash: expected sha256: and 64 hexadecimal digits, as `weir new-key` and `weir hash-key` "
     "print them\n"},
    {"OneHashTwice",
     "keys:\n  - {name: a, hash: \"sha256:00000000000000000000000000000000000000000000000000000000000000ff\"}\n"
     "  - {name: b, hash: \"sha256:00000000000000000000000000000000000000000000000000000000000000FF\"}\n",
     "weir.yaml:3:21: keys[1].hash: is used twice: each key needs its own\n"},
    {"Priority",
     "keys:\n  - name: a\n    hash: \"sha256:00000000000000000000000000000000000000000000000000000000000000ff\"\n    "
     "priority: high\n",
     "weir.yaml:4:15: keys[0].priority: expected one of interactive, normal, background; found 'high'\n"},
    {"TeamName", "teams:\n  \"a b\": {}\n",
     "weir.yaml:2:3: teams.a b: a bad name: expected 1 to 64 letters, digits, '.', '_' or '-'\n"},
    {"ModelWithoutUpstreams", "models:\n  - {name: a}\n", "weir.yaml:2:5: models[0]: 'upstreams' is missing\n"},
    {"ModelWithNoUpstream", "models:\n  - {name: a, upstreams: []}\n",
     "weir.yaml:2:26: models[0].upstreams: names none\n"},
    {"ModelWithNoWeight", "models:\n  - {name: a, upstreams: [{name: u, weight: 0}]}\n",
     "weir.yaml:2:45: models[0].upstreams[0].weight: expected a whole number from 1 to 1000, found '0'\n"},
};
INSTANTIATE_TEST_SUITE_P(KeysTeamsModels, ConfigValues, testing::ValuesIn(wrong_keys), name_of);

TEST(ConfigValues, TakeOneWordForAListOfOne) {
  const Config config =
      config_of("listen: 127.0.0.1:9000\nclients: {hosts: Weir.Example.com}\nmodels: [{name: a, upstreams: u}]\n");
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_EQ(to_string(config.listen[0]), "127.0.0.1:9000");
  EXPECT_EQ(config.clients.hosts, std::vector<std::string>{"weir.example.com"});
  ASSERT_EQ(config.models.at(0).upstreams.size(), 1u);
  EXPECT_EQ(config.models[0].upstreams[0].upstream.text, "u");
}

TEST(ConfigValues, TakeUnlimitedForAnyLimitAndTimeout) {
  const Config config = config_of(
      "timeouts: {connect: unlimited, total: unlimited, client_body: unlimited}\nqueue: {wait_max: unlimited}\n"
      "tiers: {a: {rpm: unlimited, tpd: 5_000_000}}\n");
  EXPECT_EQ(config.timeouts.upstream.connect, unlimited_duration);
  EXPECT_EQ(config.timeouts.upstream.total, unlimited_duration);
  EXPECT_EQ(config.timeouts.client_body, unlimited_duration);
  EXPECT_EQ(config.queue.wait_max, unlimited_duration);
  EXPECT_EQ(config.tiers.at("a").rpm, unlimited);
  EXPECT_EQ(config.tiers.at("a").tpd, 5'000'000u);
  EXPECT_EQ(config.tiers.at("a").tpm, std::nullopt);
}

}  // namespace
}  // namespace weir::app
