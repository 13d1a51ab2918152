// What is on this machine, as a socket, a URL and the field Host name it.
#include "net/loopback.hpp"

#include <gtest/gtest.h>

namespace weir::net {
namespace {

struct Row {
  const char* text;
  bool address, host, in_host_field;
};

TEST(Loopback, IsWhatTheTableSays) {
  const Row rows[] = {{"127.0.0.1", true, true, true},
                      {"127.255.255.254", true, true, true},
                      {"127.1", false, false, true},
                      {"::1", true, true, false},
                      {"[::1]", false, false, true},
                      {"0:0:0:0:0:0:0:1", true, true, false},
                      {"::ffff:127.0.0.1", true, true, false},
                      {"::ffff:127.9.8.7", true, true, false},
                      {"localhost", false, true, true},
                      {"LocalHost", false, true, true},
                      {"api.localhost", false, true, false},
                      {"API.LOCALHOST", false, true, false},
                      {".localhost", false, false, false},
                      {"localhost.", false, false, false},
                      {"localhost.example.com", false, false, false},
                      {"notlocalhost", false, false, false},
                      {"127.evil.com", false, false, false},
                      {"127.0.0.1.evil.com", false, false, false},
                      {"127.0.0.1:80", false, false, false},
                      {"128.0.0.1", false, false, false},
                      {"10.0.0.1", false, false, false},
                      {"0.0.0.0", false, false, false},
                      {"::", false, false, false},
                      {"::2", false, false, false},
                      {"::127.0.0.1", false, false, false},
                      {"::ffff:10.0.0.1", false, false, false},
                      {"", false, false, false}};
  for (const Row& row : rows) {
    EXPECT_EQ(is_loopback_address(row.text), row.address) << row.text;
    EXPECT_EQ(is_loopback_host(row.text), row.host) << row.text;
    EXPECT_EQ(is_loopback_in_host_field(row.text), row.in_host_field) << row.text;
  }
}

}  // namespace
}  // namespace weir::net
