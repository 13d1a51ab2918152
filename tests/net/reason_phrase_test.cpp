#include "net/reason_phrase.hpp"

#include <gtest/gtest.h>

namespace weir::net {
namespace {

TEST(ReasonPhrase, IsThatOfTheStandardAndOfWhatProvidersAdd) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(429), "Too Many Requests");
  EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(reason_phrase(499), "Client Closed Request");
  EXPECT_EQ(reason_phrase(529), "Overloaded");
}

// The space behind the number may be followed by nothing (RFC 9112 §4), but some clients stumble over that.
TEST(ReasonPhrase, IsNeverEmpty) {
  for (int status = 100; status < 1000; ++status) EXPECT_FALSE(reason_phrase(status).empty()) << status;
  EXPECT_EQ(reason_phrase(299), "Status");
}

}  // namespace
}  // namespace weir::net
