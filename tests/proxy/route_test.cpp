// Which route a target means, and that no target means one thing to weir and another to an upstream.
#include "proxy/route.hpp"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

using protocol::Api;
using RouteKind = Route::Kind;

struct RouteRow {
  const char* method;
  const char* target;
  RouteKind kind;
  Api api = Api::other;
  const char* path = "";
  const char* native = "";
  bool canonical = false;
};

TEST(Route, OfEveryPathInTheContract) {
  const RouteRow rows[] = {
      {"POST", "/v1/chat/completions", RouteKind::forward, Api::chat, "/chat/completions", "", true},
      {"POST", "/chat/completions?x=1", RouteKind::forward, Api::chat, "/chat/completions", "", true},
      {"POST", "/v1/completions", RouteKind::forward, Api::completions, "/completions", "", true},
      {"POST", "/beta/completions", RouteKind::forward, Api::completions, "/completions", "/beta", true},
      {"POST", "/beta/v1/chat/completions", RouteKind::forward, Api::chat, "/chat/completions", "/beta", true},
      {"POST", "/v1/embeddings", RouteKind::forward, Api::embeddings, "/embeddings", "", true},
      {"POST", "/v1/responses", RouteKind::forward, Api::responses, "/responses", "", true},
      {"POST", "/v1/messages", RouteKind::forward, Api::messages, "/messages", "", true},
      {"POST", "/v1/messages/count_tokens", RouteKind::forward, Api::messages, "/messages/count_tokens", "", true},
      {"POST", "/v1/messages/batches", RouteKind::forward, Api::other, "/messages/batches"},
      {"GET", "/v1/messages/count_tokens", RouteKind::forward, Api::other, "/messages/count_tokens"},
      {"POST", "/anthropic/v1/messages", RouteKind::forward, Api::messages, "/messages", "/anthropic", true},
      {"POST", "/anthropic/messages", RouteKind::forward, Api::messages, "/messages", "/anthropic", true},
      {"POST", "/api/v3/chat/completions", RouteKind::forward, Api::chat, "/chat/completions", "/api/v3", true},
      {"POST", "/api/v3/batch/chat/completions", RouteKind::forward, Api::chat, "/batch/chat/completions", "/api/v3",
       false},
      {"POST", "/api/v3/bots/chat/completions", RouteKind::forward, Api::chat, "/bots/chat/completions", "/api/v3",
       false},
      {"POST", "/api/v3/batch/embeddings", RouteKind::forward, Api::embeddings, "/batch/embeddings", "/api/v3", false},
      {"POST", "/api/v3/batch/embeddings/multimodal", RouteKind::forward, Api::embeddings,
       "/batch/embeddings/multimodal", "/api/v3", false},
      {"POST", "/v1/embeddings/multimodal", RouteKind::forward, Api::embeddings, "/embeddings/multimodal", "", false},
      {"POST", "/v1/embeddings/other", RouteKind::forward, Api::other, "/embeddings/other"},
      {"GET", "/v1/models", RouteKind::forward, Api::models, "/models", "", true},
      {"GET", "/models", RouteKind::forward, Api::models, "/models", "", true},
      {"POST", "/v1/models", RouteKind::forward, Api::other, "/models"},
      {"GET", "/v1/models/m", RouteKind::forward, Api::models, "/models/m", "", true},
      {"HEAD", "/v1/models", RouteKind::forward, Api::models, "/models", "", true},
      {"GET", "/v1/modelsque", RouteKind::forward, Api::other, "/modelsque"},
      {"GET", "/v1/chat/completions", RouteKind::forward, Api::other, "/chat/completions"},
      {"GET", "/v1/responses/resp_1", RouteKind::forward, Api::other, "/responses/resp_1"},
      {"POST", "/v1/responses/resp_1/cancel", RouteKind::forward, Api::other, "/responses/resp_1/cancel"},
      {"POST", "/v1/files", RouteKind::forward, Api::other, "/files"},
      {"GET", "/user/balance", RouteKind::forward, Api::other, "/user/balance"},
      {"POST", "/v1/audio/transcriptions", RouteKind::forward, Api::other, "/audio/transcriptions"},
      {"POST", "/v1/anything/new", RouteKind::forward, Api::other, "/anything/new"},
      {"GET", "/healthz", RouteKind::healthz},
      {"GET", "/readyz?x", RouteKind::readyz},
      {"GET", "/v1/weir/me", RouteKind::own},
      {"DELETE", "/v1/weir/requests/1", RouteKind::own},
      {"GET", "/v1/weir", RouteKind::own},
      {"GET", "/v1/weirdo", RouteKind::forward, Api::other, "/weirdo"},
      {"GET", "/", RouteKind::unknown},
      {"GET", "/v1", RouteKind::unknown},
      {"GET", "/v1/", RouteKind::unknown},
      {"GET", "/v10/chat/completions", RouteKind::unknown},
      {"GET", "/favicon.ico", RouteKind::unknown},
      {"GET", "/chatty", RouteKind::unknown},
      {"GET", "/weir/queue", RouteKind::unknown},
      {"GET", "*", RouteKind::unknown},
  };
  for (const RouteRow& row : rows) {
    SCOPED_TRACE(std::string(row.method) + " " + row.target);
    const Route route = find_route(row.method, row.target);
    EXPECT_EQ(route.kind, row.kind);
    if (row.kind != RouteKind::forward) continue;
    EXPECT_EQ(route.api, row.api);
    EXPECT_EQ(route.path, row.path);
    EXPECT_EQ(route.native_prefix, row.native);
    EXPECT_EQ(route.canonical, row.canonical);
  }
}

TEST(Route, KnowsWhatOnlyCountsAndWhoseShapeErrorsHave) {
  EXPECT_TRUE(find_route("POST", "/v1/messages/count_tokens?beta=true").only_counts());
  EXPECT_FALSE(find_route("POST", "/v1/messages").only_counts());
  EXPECT_FALSE(find_route("GET", "/v1/messages/count_tokens").only_counts());
  for (const char* target : {"/v1/messages", "/v1/messages/batches/b", "/anthropic/v1/messages/count_tokens"}) {
    EXPECT_EQ(find_route("GET", target).shape(), Api::messages) << target;
    EXPECT_EQ(shape_of_head("GET " + std::string(target) + " HTTP/1.1\r\n"), Api::messages) << target;
  }
  EXPECT_EQ(find_route("POST", "/v1/chat/completions").shape(), Api::chat);
  EXPECT_EQ(find_route("POST", "/v1/messagesque").shape(), Api::other);
  for (const char* head : {"", "\r\n", "POST\r\n", "POST /v1/messages HTTP/1.1", "\x16\x03\r\n"})
    EXPECT_EQ(shape_of_head(head), Api::other) << head;
}

TEST(Route, KeepsTheQueryApart) {
  const Route route = find_route("GET", "/v1/files?limit=2&a=?");
  EXPECT_EQ(route.full_path, "/v1/files");
  EXPECT_EQ(route.query, "limit=2&a=?");
}

// A key's models are checked in the body of a family's path. An upstream that tidies paths must not undo that.
TEST(Route, KnowsNoFamilyInDisguise) {
  for (const char* target :
       {"/v1//chat/completions", "/v1/chat//completions", "/v1/chat/completions/", "/v1/./chat/completions",
        "/v1/x/../chat/completions", "/v1/files/../../v1/chat/completions", "/v1/%63hat/completions",
        "/v1/chat%2Fcompletions", "/v1/chat%2fcompletions", "/v1/Chat/Completions", "/v1/%2e/messages",
        "/v1/messages;x=1", "/v1/chat\\completions", "/v1/embedding%73", "//v1/responses", "/v1/responses/",
        "/api/v3//chat/completions", "/v1//messages/count_tokens"}) {
    EXPECT_EQ(find_route("POST", target).kind, RouteKind::unknown) << target;
  }
  for (const char* target : {"/v1/files/my%20file/content", "/v1/Files", "/v1/vector_stores/a%2Fb/search"}) {
    EXPECT_EQ(find_route("POST", target).kind, RouteKind::forward) << target;
  }
}

// A path maps below the upstream's base path, which holds the account's key.
TEST(Route, KnowsNoPathThatClimbs) {
  for (const char* method : {"GET", "POST", "DELETE", "PUT"}) {
    for (const char* target :
         {"/v1/files/../../admin", "/v1/..", "/v1/.", "/v1/files/%2e%2e/%2E%2e/admin", "/v1/files/.%2e/x",
          "/v1/files/..%2fadmin", "/v1/files/..\\admin", "/v1/files/..%5cadmin", "/v1/files/..;a=b/admin",
          "/v1/files/./x", "/files/../admin", "/api/v3/../../admin", "/user/..%2fadmin?x=1"}) {
      EXPECT_EQ(find_route(method, target).kind, RouteKind::unknown) << method << " " << target;
    }
    for (const char* target :
         {"/v1/files/a..b", "/v1/models/gpt-4.1", "/v1/files/...", "/v1/files/.well", "/v1/x%2e"}) {
      EXPECT_EQ(find_route(method, target).kind, RouteKind::forward) << method << " " << target;
    }
  }
}

// What PUT brings there would be sent unread: neither its model checked nor its cost counted.
TEST(Route, TakesTheBodyOfAFamilyInAPostOnly) {
  for (const char* method : {"PUT", "PATCH"}) {
    for (const char* target :
         {"/v1/chat/completions", "/messages", "/api/v3/batch/chat/completions", "/v1/embeddings/multimodal"}) {
      EXPECT_EQ(find_route(method, target).kind, RouteKind::posted) << method << " " << target;
    }
    EXPECT_EQ(find_route(method, "/v1//chat/completions").kind, RouteKind::unknown) << method;
    EXPECT_EQ(find_route(method, "/v1/files/f").kind, RouteKind::forward) << method;
  }
}

TEST(Route, SurvivesAnyTarget) {
  std::string target;
  for (int a = 0; a < 256; ++a) {
    for (const char* around : {"", "/", "%", "/v1/", "/v1/%", "/v1/..", "%2"}) {
      target = around + std::string(1, static_cast<char>(a)) + around;
      find_route("POST", target);
      find_route("GET", target);
      object_id(target);
    }
  }
  find_route("GET", "");
}

TEST(Route, FindsIdsInPaths) {
  EXPECT_EQ(object_id("/files/file-1/content"), "file-1");
  EXPECT_EQ(object_id("/responses/resp_1"), "resp_1");
  EXPECT_EQ(object_id("/files"), "");
  EXPECT_EQ(object_id("/files/"), "");
  EXPECT_EQ(object_id(""), "");
  const std::string_view path = "/fine_tuning/jobs/ftjob-1/events";
  const std::string_view first = object_id(path);
  EXPECT_EQ(first, "jobs");
  EXPECT_EQ(next_segment(path, first), "ftjob-1");
  EXPECT_EQ(next_segment(path, next_segment(path, first)), "events");
  EXPECT_EQ(next_segment(path, next_segment(path, next_segment(path, first))), "");
}

}  // namespace
}  // namespace weir::proxy
