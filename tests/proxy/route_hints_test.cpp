// What is said of paths that are not there.
#include "proxy/route_hints.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

struct HintRow {
  const char* path;
  const char* hint;  // a part of it
};

TEST(RouteHints, TellClientsWhereItIsOrWhatIsWrong) {
  const HintRow rows[] = {
      {"/x", "the API is under /v1"},
      {"/metrics", "on the operator listener"},
      {"/weir/", "on the operator listener"},
      {"/weir/queue", "on the operator listener"},
      {"/v1/weir/me", "GET /v1/weir/me"},
      {"/v1/weir/queue", "on the operator listener"},
      {"/v1/chat/completions/", "leave out the '/' at its end"},
      {"//v1/chat/completions", "leave out the empty segment"},
      {"/", "the API is under /v1"},
      {"/weirdo", "the API is under /v1"},
  };
  for (const HintRow& row : rows)
    EXPECT_NE(client_route_hint(row.path).find(row.hint), std::string::npos) << client_route_hint(row.path);
}

TEST(RouteHints, TellOperatorsThatTheApiIsElsewhere) {
  EXPECT_EQ(operator_route_hint("/weir/reload"), "it takes POST");
  EXPECT_NE(operator_route_hint("/v1/chat/completions").find("clients' listener"), std::string::npos);
  EXPECT_NE(operator_route_hint("/dashboard").find("GET /weir/ is the status page"), std::string::npos);
}

}  // namespace
}  // namespace weir::proxy
