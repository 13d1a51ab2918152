#include "net/http_proxy.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>
#include <stdexcept>

namespace weir::net {
namespace {

TEST(ProxyRules, GoDirectlyWithoutAProxy) {
  EXPECT_FALSE(ProxyRules().hop_for(true, "api.example.com", 443).has_value());
  EXPECT_FALSE(ProxyRules("", "", "").hop_for(true, "api.example.com", 443).has_value());
}

TEST(ProxyRules, KeepHttpsAndHttpApart) {
  const ProxyRules rules("http://secure:3128", "http://plain:3129", "");
  EXPECT_EQ(rules.hop_for(true, "api.example.com", 443)->host, "secure");
  EXPECT_EQ(rules.hop_for(false, "api.example.com", 80)->port, 3129);
  EXPECT_FALSE(ProxyRules("http://secure:3128", "", "").hop_for(false, "api.example.com", 80).has_value());
}

struct UrlRow {
  const char* name;
  const char* url;
  const char* host;
  std::uint16_t port;
  const char* authorization;
  friend std::ostream& operator<<(std::ostream& out, const UrlRow& row) { return out << row.name; }
};

class ProxyUrl : public ::testing::TestWithParam<UrlRow> {};

TEST_P(ProxyUrl, IsTakenApart) {
  const auto hop = ProxyRules(GetParam().url, "", "").hop_for(true, "api.example.com", 443);
  ASSERT_TRUE(hop.has_value());
  EXPECT_EQ(hop->host, GetParam().host);
  EXPECT_EQ(hop->port, GetParam().port);
  EXPECT_EQ(hop->authorization, GetParam().authorization);
}

template <class Test>
std::string row_name(const ::testing::TestParamInfo<Test>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Table, ProxyUrl,
    ::testing::Values(UrlRow{"Usual", "http://proxy.corp:3128", "proxy.corp", 3128, ""},
                      UrlRow{"SlashAtItsEnd", "http://proxy:3128/", "proxy", 3128, ""},
                      UrlRow{"WithoutScheme", "proxy:3128", "proxy", 3128, ""},
                      UrlRow{"WithoutPort", "http://proxy", "proxy", 80, ""},
                      UrlRow{"EmptyPort", "http://proxy:", "proxy", 80, ""},
                      UrlRow{"SchemeInUpperCase", "HTTP://proxy:1", "proxy", 1, ""},
                      UrlRow{"Ipv4", "http://10.0.0.1:3128", "10.0.0.1", 3128, ""},
                      UrlRow{"Ipv6", "http://[fd00::1]:3128", "fd00::1", 3128, ""},
                      UrlRow{"Ipv6WithoutPort", "http://[fd00::1]", "fd00::1", 80, ""},
                      // user:pass
                      UrlRow{"Credentials", "http://user:pass@proxy:3128", "proxy", 3128, "Basic dXNlcjpwYXNz"},
                      // us@er:p@ss:1
                      UrlRow{"EscapedCredentials", "http://us%40er:p%40ss%3a1@proxy:3128", "proxy", 3128,
                             "Basic dXNAZXI6cEBzczox"},
                      // user:p@ss
                      UrlRow{"AtNotEscaped", "http://user:p@ss@proxy:3128", "proxy", 3128, "Basic dXNlcjpwQHNz"},
                      // user: (RFC 7617: the colon is always there)
                      UrlRow{"UserAlone", "http://user@proxy:3128", "proxy", 3128, "Basic dXNlcjo="},
                      // 100%:50%2
                      UrlRow{"PercentThatEscapesNothing", "http://100%:50%2@proxy", "proxy", 80, "Basic MTAwJTo1MCUy"},
                      UrlRow{"CredentialsWithoutScheme", "user:pass@proxy:3128", "proxy", 3128, "Basic dXNlcjpwYXNz"}),
    row_name<UrlRow>);

std::string complaint(const char* url) {
  try {
    ProxyRules(url, "", "");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(ProxyUrl, IsRefusedWhenItCannotBeUsed) {
  for (const char* url : {"socks5://proxy:1080", "https://proxy:443", "http://", "http://:3128", "http://proxy:port",
                          "http://proxy:0", "http://proxy:65536", "http://[fd00::1:3128", "http://[fd00::1]x"}) {
    EXPECT_NE(complaint(url), "") << url;
  }
}

TEST(ProxyUrl, NeverShowsACredentialWhenRefused) {
  for (const char* url : {"socks5://user:secret@proxy", "http://user:secret@proxy:port",
                          "http://user:sec@secret@proxy:port", "http://user:secret@", "user:secret@:1"}) {
    EXPECT_NE(complaint(url), "") << url;
    EXPECT_EQ(complaint(url).find("sec"), std::string::npos) << complaint(url);
  }
}

struct ExceptionRow {
  const char* name;
  const char* no_proxy;
  const char* host;
  std::uint16_t port;
  bool direct;
  friend std::ostream& operator<<(std::ostream& out, const ExceptionRow& row) { return out << row.name; }
};

class NoProxy : public ::testing::TestWithParam<ExceptionRow> {};

TEST_P(NoProxy, Decides) {
  const auto& row = GetParam();
  const ProxyRules rules("http://proxy:1", "http://proxy:1", row.no_proxy);
  EXPECT_EQ(!rules.hop_for(true, row.host, row.port).has_value(), row.direct);
}

INSTANTIATE_TEST_SUITE_P(Names, NoProxy,
                         ::testing::Values(ExceptionRow{"Empty", "", "a.example.com", 443, false},
                                           ExceptionRow{"Everything", "*", "a.example.com", 443, true},
                                           ExceptionRow{"EverythingInAList", "x, *", "a.example.com", 443, true},
                                           ExceptionRow{"Itself", "example.com", "example.com", 443, true},
                                           ExceptionRow{"Subdomain", "example.com", "a.b.example.com", 443, true},
                                           ExceptionRow{"DotInFront", ".example.com", "a.example.com", 443, true},
                                           ExceptionRow{"DotInFrontItself", ".example.com", "example.com", 443, true},
                                           ExceptionRow{"StarInFront", "*.example.com", "a.example.com", 443, true},
                                           ExceptionRow{"AnyCase", "EXAMPLE.com", "a.Example.COM", 443, true},
                                           ExceptionRow{"NoPartOfALabel", "example.com", "badexample.com", 443, false},
                                           ExceptionRow{"NoPrefix", "example.com", "example.com.evil", 443, false},
                                           ExceptionRow{"OfSeveral", "a.com,b.com , c.com", "x.c.com", 443, true},
                                           ExceptionRow{"BySpaces", "a.com b.com", "b.com", 443, true},
                                           ExceptionRow{"EmptyEntries", ",,b.com,,", "a.com", 443, false},
                                           ExceptionRow{"OnlyADot", ".", "a.com", 443, false},
                                           ExceptionRow{"ThisPort", "a.com:443", "a.com", 443, true},
                                           ExceptionRow{"OtherPort", "a.com:8443", "a.com", 443, false},
                                           ExceptionRow{"AnyHostOnAPort", "*:443", "a.com", 443, true},
                                           ExceptionRow{"OnlyAPort", ":443", "a.com", 443, false},
                                           ExceptionRow{"NameIsNoNetwork", "10.0.0.0/8", "a.com", 443, false}),
                         row_name<ExceptionRow>);

INSTANTIATE_TEST_SUITE_P(
    Addresses, NoProxy,
    ::testing::Values(ExceptionRow{"V4", "10.1.2.3", "10.1.2.3", 443, true},
                      ExceptionRow{"V4Other", "10.1.2.3", "10.1.2.4", 443, false},
                      ExceptionRow{"V4NoSuffix", "2.3", "10.1.2.3", 443, false},
                      ExceptionRow{"V4Port", "10.1.2.3:443", "10.1.2.3", 443, true},
                      ExceptionRow{"V4OtherPort", "10.1.2.3:80", "10.1.2.3", 443, false},
                      ExceptionRow{"V4Network", "10.0.0.0/8", "10.255.1.2", 443, true},
                      ExceptionRow{"V4NetworkOutside", "10.0.0.0/8", "11.0.0.1", 443, false},
                      ExceptionRow{"V4NetworkByAnyOfItsAddresses", "10.1.2.3/8", "10.9.9.9", 443, true},
                      ExceptionRow{"V4NetworkOdd", "192.168.4.0/22", "192.168.7.255", 443, true},
                      ExceptionRow{"V4NetworkOddOutside", "192.168.4.0/22", "192.168.8.0", 443, false},
                      ExceptionRow{"V4NetworkAll", "0.0.0.0/0", "8.8.8.8", 443, true},
                      ExceptionRow{"V4NetworkOne", "8.8.8.8/32", "8.8.8.8", 443, true},
                      ExceptionRow{"V4BadPrefix", "10.0.0.0/33", "10.0.0.1", 443, false},
                      ExceptionRow{"V4NoPrefix", "10.0.0.0/", "10.0.0.1", 443, false},
                      ExceptionRow{"V6", "fd00::1", "fd00::1", 443, true},
                      ExceptionRow{"V6Written", "fd00:0:0::0:1", "fd00::1", 443, true},
                      ExceptionRow{"V6Brackets", "[fd00::1]", "fd00::1", 443, true},
                      ExceptionRow{"V6BracketsPort", "[fd00::1]:443", "fd00::1", 443, true},
                      ExceptionRow{"V6BracketsOtherPort", "[fd00::1]:80", "fd00::1", 443, false},
                      ExceptionRow{"V6Network", "fd00::/8", "fdab::1", 443, true},
                      ExceptionRow{"V6NetworkOutside", "fd00::/8", "fe00::1", 443, false},
                      ExceptionRow{"V6NetworkOdd", "2001:db8:8000::/33", "2001:db8:ffff::1", 443, true},
                      ExceptionRow{"V6NetworkOddOutside", "2001:db8:8000::/33", "2001:db8:7fff::1", 443, false},
                      ExceptionRow{"V6NotInV4Network", "10.0.0.0/8", "fd00::1", 443, false},
                      ExceptionRow{"V4NotInV6Network", "fd00::/8", "10.0.0.1", 443, false}),
    row_name<ExceptionRow>);

TEST(ProxyRules, NeverSendLoopbackThroughAProxy) {
  const ProxyRules rules("http://proxy:1", "http://proxy:1", "");
  for (const char* host :
       {"localhost", "LOCALHOST", "api.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_FALSE(rules.hop_for(false, host, 8080).has_value()) << host;
    EXPECT_FALSE(rules.hop_for(true, host, 8443).has_value()) << host;
  }
  for (const char* host : {"notlocalhost", "localhost.example.com", "128.0.0.1", "::2"}) {
    EXPECT_TRUE(rules.hop_for(true, host, 443).has_value()) << host;
  }
}

// Sets variables for one test and puts them back.
class Environment {
 public:
  Environment() {
    for (const char* name : names) {
      const char* value = std::getenv(name);
      if (value) before_.emplace_back(name, value);
      ::unsetenv(name);
    }
  }
  ~Environment() {
    for (const char* name : names) ::unsetenv(name);
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  static constexpr const char* names[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
                                          "http_proxy",  "NO_PROXY",    "no_proxy"};
  std::vector<std::pair<std::string, std::string>> before_;
};

TEST(ProxyRules, ReadTheEnvironmentLowerCaseFirst) {
  const Environment clean;
  EXPECT_FALSE(ProxyRules::from_environment().hop_for(true, "a.com", 443).has_value());
  ::setenv("HTTPS_PROXY", "http://upper:1", 1);
  EXPECT_EQ(ProxyRules::from_environment().hop_for(true, "a.com", 443)->host, "upper");
  ::setenv("https_proxy", "http://lower:1", 1);
  EXPECT_EQ(ProxyRules::from_environment().hop_for(true, "a.com", 443)->host, "lower");
  ::setenv("NO_PROXY", "b.com", 1);
  ::setenv("no_proxy", "a.com", 1);
  EXPECT_FALSE(ProxyRules::from_environment().hop_for(true, "a.com", 443).has_value());
  EXPECT_TRUE(ProxyRules::from_environment().hop_for(true, "b.com", 443).has_value());
}

}  // namespace
}  // namespace weir::net
