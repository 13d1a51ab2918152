#include "proxy/method.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

TEST(Method, IsKnownInTheseVeryLetters) {
  for (const char* known : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
    EXPECT_TRUE(is_known_method(known)) << known;
  for (const char* other :
       {"", "get", "Post", "GE", "GETS", "TRACE", "CONNECT", "PROPFIND", ", ", "GET, HEAD", "HEAD,"})
    EXPECT_FALSE(is_known_method(other)) << other;
}

TEST(Method, BringsABodyOrNone) {
  for (const char* with : {"POST", "PUT", "PATCH"}) EXPECT_TRUE(brings_body(with)) << with;
  for (const char* without : {"GET", "HEAD", "DELETE", "OPTIONS", "post", ""})
    EXPECT_FALSE(brings_body(without)) << without;
}

}  // namespace
}  // namespace weir::proxy
