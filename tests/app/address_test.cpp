// Addresses to listen on and base URLs of upstreams, in the forms people paste.
#include "app/address.hpp"

#include <gtest/gtest.h>

namespace weir::app {
namespace {

std::string listen(std::string_view text) {
  const auto parsed = parse_listen_address(text);
  if (const auto* fault = std::get_if<std::string>(&parsed)) return "refused: " + *fault;
  return to_string(std::get<ListenAddress>(parsed));
}

TEST(ListenAddress, IsAnAddressAndAPort) {
  const std::pair<const char*, const char*> good[] = {
      {"localhost:8080", "localhost:8080"}, {"LOCALHOST:1", "localhost:1"}, {"127.0.0.1:0", "127.0.0.1:0"},
      {"0.0.0.0:65535", "0.0.0.0:65535"},   {"[::1]:8080", "[::1]:8080"},   {"[::]:80", "[::]:80"}};
  for (const auto& [text, shown] : good) EXPECT_EQ(listen(text), shown);
}

TEST(ListenAddress, SaysWhatToWriteInstead) {
  const std::pair<const char*, const char*> bad[] = {
      {"8080", "refused: expected host:port, found '8080'; write localhost:8080"},
      {":8080",
       "refused: expected an address before the port: 0.0.0.0:8080 for every IPv4 address, [::]:8080 for every IPv6 "
       "one"},
      {"*:80",
       "refused: expected an address before the port: 0.0.0.0:80 for every IPv4 address, [::]:80 for every IPv6 one"},
      {"::1:8080", "refused: put an IPv6 address in brackets, such as [::1]:8080; found '::1:8080'"},
      {"127.0.0.1", "refused: expected host:port such as localhost:8080, found '127.0.0.1'"},
      {"127.0.0.1:", "refused: expected host:port such as localhost:8080, found '127.0.0.1:'"},
      {"127.0.0.1:65536", "refused: the port of '127.0.0.1:65536' is not a number from 0 to 65535"},
      {"127.0.0.1:http", "refused: the port of '127.0.0.1:http' is not a number from 0 to 65535"},
      {"127.0.0.1:-1", "refused: the port of '127.0.0.1:-1' is not a number from 0 to 65535"},
      {"example.com:80", "refused: expected an IP address or localhost, found 'example.com:80'"},
      {"[127.0.0.1]:80", "refused: expected an IP address or localhost, found '[127.0.0.1]:80'"},
      {"[::1:80", "refused: expected host:port such as localhost:8080, found '[::1:80'"},
      {"", "refused: expected host:port such as localhost:8080, found ''"}};
  for (const auto& [text, shown] : bad) EXPECT_EQ(listen(text), shown);
}

TEST(ListenAddress, IsLoopbackWhereAllOfThemAre) {
  EXPECT_TRUE(is_loopback({{"127.0.0.1", 1}, {"::1", 1}, {"localhost", 1}}));
  EXPECT_FALSE(is_loopback({{"127.0.0.1", 1}, {"0.0.0.0", 1}}));
}

TEST(ListenAddress, LocalhostMeansBothLoopbacks) {
  const auto sockets = bind_addresses({{"localhost", 8080}, {"10.0.0.1", 80}});
  ASSERT_EQ(sockets.size(), 3u);
  EXPECT_EQ(to_string(sockets[0]), "127.0.0.1:8080");
  EXPECT_EQ(to_string(sockets[1]), "[::1]:8080");
  EXPECT_EQ(to_string(sockets[2]), "10.0.0.1:80");
}

std::string url(std::string_view text) {
  const auto parsed = parse_base_url(text);
  if (const auto* fault = std::get_if<std::string>(&parsed)) return "refused: " + *fault;
  const BaseUrl& base = std::get<BaseUrl>(parsed);
  return std::string(base.tls ? "tls " : "plain ") + base.host + " " + std::to_string(base.port) + " " +
         base.authority + " '" + base.path + "'";
}

TEST(BaseUrl, IsTakenInTheFormsOfTheProviders) {
  const std::pair<const char*, const char*> good[] = {
      {"https://api.deepseek.com", "tls api.deepseek.com 443 api.deepseek.com ''"},
      {"https://api.deepseek.com/", "tls api.deepseek.com 443 api.deepseek.com ''"},
      {"https://API.DeepSeek.com/v1", "tls api.deepseek.com 443 api.deepseek.com '/v1'"},
      {"https://ark.cn-beijing.volces.com/api/v3/",
       "tls ark.cn-beijing.volces.com 443 ark.cn-beijing.volces.com '/api/v3'"},
      {"HTTP://localhost:11434/v1//", "plain localhost 11434 localhost:11434 '/v1'"},
      {"http://10.0.0.5", "plain 10.0.0.5 80 10.0.0.5 ''"},
      {"http://10.0.0.5:80", "plain 10.0.0.5 80 10.0.0.5 ''"},
      {"https://h:8443", "tls h 8443 h:8443 ''"},
      {"https://h:80", "tls h 80 h:80 ''"},
      {"http://[::1]:8000/v1", "plain ::1 8000 [::1]:8000 '/v1'"},
      {"https://[2001:DB8::1]", "tls 2001:db8::1 443 [2001:db8::1] ''"},
      {"http://my_server/v1", "plain my_server 80 my_server '/v1'"}};
  for (const auto& [text, shown] : good) EXPECT_EQ(url(text), shown) << text;
}

TEST(BaseUrl, SaysWhatToWriteInstead) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "refused: expected a URL with its scheme, such as https://"},
      {"api.deepseek.com", "refused: expected a URL with its scheme, such as https://api.deepseek.com"},
      {"localhost:11434", "refused: expected a URL with its scheme, such as https://localhost:11434"},
      {"ftp://h", "refused: expected http:// or https://, found 'ftp://'"},
      {"https://", "refused: the host of 'https://' is not valid"},
      {"https://h?x=1", "refused: a base URL has no '?' and no '#'; a query goes into `query`"},
      {"https://h/v1#a", "refused: a base URL has no '?' and no '#'; a query goes into `query`"},
      {"https://sk-abc@h", "refused: put the key into api_key, not into the URL"},
      {"https://h:0", "refused: the port of 'https://h:0' is not a number from 1 to 65535"},
      {"https://h:99999", "refused: the port of 'https://h:99999' is not a number from 1 to 65535"},
      {"https://h:", "refused: the host of the URL is not valid"},
      {"https://[::1", "refused: the host of the URL is not valid"},
      {"https://[h]", "refused: the host of 'https://[h]' is not valid"},
      {"https://::1", "refused: the host of 'https://::1' is not valid"},
      {"https://a b", "refused: the URL has a space or a character beyond ASCII in it"},
      {"https://h\r\nx: y", "refused: the URL has a space or a character beyond ASCII in it"},
      {"https://h/v1/messages", "refused: this is the address of one endpoint; the base URL is https://h/v1"},
      {"https://h/a//b", "refused: the path of 'https://h/a//b' is not plain"},
      {"https://h/../b", "refused: the path of 'https://h/../b' is not plain"}};
  for (const auto& [text, shown] : bad) EXPECT_EQ(url(text), shown) << text;
}

}  // namespace
}  // namespace weir::app
