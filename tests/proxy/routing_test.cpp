// Several accounts, keys and rules behind one address: who is let in, and where requests go.
#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

using proxy::ClientMode;
using proxy::ParameterAction;

class Routing : public ::testing::Test {
 protected:
  Routing() {
    one.answer_always([](const HttpMessage& request) { return answer("one", request); });
    two.answer_always([](const HttpMessage& request) { return answer("two", request); });
    settings = settings_for({upstream_at(one.port(), "one"), upstream_at(two.port(), "two")});
  }
  static std::string answer(const std::string& name, const HttpMessage& request) {
    if (request.target() == "/v1/models")
      return json_answer(R"({"object":"list","data":[{"id":"m-of-)" + name + R"("}]})");
    if (request.target() == "/v1/responses") return json_answer(R"({"id":"resp_)" + name + R"(","object":"response"})");
    if (request.target() == "/v1/files" && request.method() == "POST")
      return json_answer(R"({"id":"file-)" + name + R"("})");
    return json_answer(R"({"served_by":")" + name + "\"}");
  }
  HttpMessage call(const std::string& bytes) {
    if (!proxy) proxy.emplace(settings);
    RawClient client(proxy->port());
    client.send(bytes);
    return client.read_response();
  }
  std::string served_by(const std::string& bytes) {
    const HttpMessage message = call(bytes);
    return message.status() == 200 ? message.field("x-weir-upstream")
                                   : std::to_string(message.status()) + " " + code_of(message);
  }
  ScriptedUpstream one, two;
  proxy::Settings settings;
  std::optional<TestProxy> proxy;
};

TEST_F(Routing, FollowsTheModel) {
  EXPECT_EQ(served_by(post("/v1/chat/completions", R"({"model":"one/a"})")), "one");
  EXPECT_EQ(served_by(post("/v1/chat/completions", R"({"model":"two/a"})")), "two");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "x-weir-upstream: two\r\n")), "400 invalid_parameter");
  EXPECT_EQ(two.requests().size(), 1u);
}

TEST_F(Routing, RefusesAModelNobodyServes) {
  settings.routes.pop_back();  // "*"
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body)), "404 model_not_found");
}

TEST_F(Routing, ReplacesAnAlias) {
  settings.routes.insert(settings.routes.begin(), {"fast", {{1, "real-model", 1}}, true});
  EXPECT_EQ(served_by(post("/v1/chat/completions", R"({"x":1,"model":"fast"})")), "two");
  EXPECT_EQ(two.requests().at(0).body, R"({"x":1,"model":"real-model"})");
  EXPECT_EQ(two.requests().at(0).field("content-length"), "28");
}

TEST_F(Routing, AppliesTheRulesOfTheModel) {
  proxy::ModelProfile profile;
  profile.name = "*";
  profile.parameters = {
      {"temperature", ParameterAction::ignore}, {"junk", ParameterAction::drop}, {"logprobs", ParameterAction::reject}};
  settings.upstreams[0].models = {profile};
  const HttpMessage message = call(post("/v1/chat/completions", R"({"model":"m","temperature":1,"junk":2})"));
  EXPECT_EQ(message.field("x-weir-ignored-params"), "temperature");
  EXPECT_EQ(one.requests().at(0).body, R"({"model":"m","temperature":1})");
  EXPECT_EQ(served_by(post("/v1/chat/completions", R"({"model":"m","logprobs":true})")), "400 unsupported_parameter");
  EXPECT_EQ(one.requests().size(), 1u);
}

TEST_F(Routing, StaysOnTheAccountThatIssuedAResponse) {
  // The same model on both accounts; the first one is the usual choice.
  settings.routes = {{"*", {{0, "", 1, 1}, {1, "", 1, 2}}, false}};
  EXPECT_EQ(served_by(post("/v1/responses", chat_body, "x-weir-upstream: two\r\n")), "two");
  EXPECT_EQ(served_by(post("/v1/responses", chat_body)), "one");
  EXPECT_EQ(served_by(post("/v1/responses", R"({"model":"m","previous_response_id":"resp_two"})")), "two");
  EXPECT_EQ(served_by(post("/v1/responses", R"({"model":"m","previous_response_id":"resp_one"})")), "one");
  EXPECT_EQ(served_by(get("/v1/responses/resp_two")), "two");
  EXPECT_EQ(served_by(get("/v1/responses/unheard-of")), "400 invalid_parameter");
}

TEST_F(Routing, StaysOnTheAccountThatStreamedAResponse) {
  ScriptedUpstream streaming;
  streaming.expect_request().send(
      stream_head() +
      chunk("event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\"}}\n\n"
            "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n") +
      last_chunk());
  streaming.script().expect_request().send(json_answer("{}"));
  settings = settings_for({upstream_at(one.port(), "one"), upstream_at(streaming.port(), "streaming")});
  EXPECT_EQ(served_by(post("/v1/responses", R"({"model":"streaming/m","stream":true})")), "streaming");
  EXPECT_EQ(served_by(get("/v1/responses/resp_s")), "streaming");
  proxy.reset();
}

TEST_F(Routing, StaysOnTheAccountThatHasAFile) {
  EXPECT_EQ(served_by(post("/v1/files", "content")), "400 invalid_parameter");
  EXPECT_EQ(served_by(post("/v1/files", "content", "x-weir-upstream: two\r\n")), "two");
  EXPECT_EQ(served_by(get("/v1/files/file-two/content")), "two");
  EXPECT_EQ(one.connections(), 0u);
}

TEST_F(Routing, DoesNotTranslateApis) {
  settings.upstreams[0].families[static_cast<std::size_t>(protocol::Api::messages)] = {};
  const HttpMessage message = call(post("/v1/messages", R"({"model":"m","max_tokens":1,"messages":[]})"));
  EXPECT_EQ(message.status(), 404);
  EXPECT_EQ(message.field("x-weir-error"), "weir_api_not_served");
  EXPECT_TRUE(message.body.starts_with(R"({"type":"error",)"));
}

TEST_F(Routing, ListsTheModelsOfAllUpstreams) {
  settings.routes.insert(settings.routes.begin(), {"alias", {{1, "real", 1}}, true});
  const HttpMessage message = call(get("/v1/models"));
  EXPECT_EQ(message.status(), 200);
  EXPECT_NE(message.body.find(R"({"id":"alias","object":"model","created":0,"owned_by":"two"})"), std::string::npos)
      << message.body;
  EXPECT_NE(call(get("/v1/models", "x-weir-upstream: two\r\n")).body.find("m-of-two"), std::string::npos);
}

TEST_F(Routing, TellsOfOneModel) {
  settings.routes.insert(settings.routes.begin(),
                         {{"alias", {{1, "real", 1}}, true}, {"org/name", {{1, "", 1}}, true}});
  EXPECT_EQ(call(get("/v1/models/alias")).body, R"({"id":"alias","object":"model","created":0,"owned_by":"two"})");
  EXPECT_EQ(call(get("/v1/models/org/name")).body, call(get("/v1/models/org%2Fname")).body);
  // What no list has is for whoever would serve it to tell.
  EXPECT_EQ(served_by(get("/v1/models/two/unheard-of")), "two");
  EXPECT_EQ(two.requests().back().target(), "/v1/models/two/unheard-of");
  settings.routes.pop_back();  // "*"
  proxy.reset();
  EXPECT_EQ(served_by(get("/v1/models/gpt-5")), "404 model_not_found");
}

TEST_F(Routing, AnswersHeadWhereItAnswersGet) {
  for (const char* path : {"/v1/models", "/v1/models/m-of-one"}) {
    if (!proxy) proxy.emplace(settings);
    RawClient client(proxy->port());
    client.send(std::string("HEAD ") + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const HttpMessage head = client.read_response("HEAD");
    EXPECT_EQ(head.status(), 200) << path;
    EXPECT_NE(head.field("content-length"), "0") << path;
  }
}

TEST_F(Routing, LetsKeysUseWhatTheyMay) {
  settings.clients.mode = ClientMode::keys;
  settings.clients.keys = {key_for("alice", "a"), key_for("bob", "b")};
  settings.clients.keys[1].models = {"two/*"};
  settings.clients.keys[1].upstreams = {"two"};
  settings.routes.insert(settings.routes.begin(), {{"two/x", {{1, "", 1}}, true}, {"one/x", {{0, "", 1}}, true}});
  const std::string alice = "Authorization: Bearer a\r\n", bob = "x-api-key: b\r\n";
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body)), "401 invalid_api_key");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "api-key: c\r\n")), "401 invalid_api_key");
  EXPECT_EQ(served_by(get("/v1/models")), "401 invalid_api_key");
  EXPECT_EQ(served_by(get("/nowhere")), "401 invalid_api_key");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, alice)), "one");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, bob)), "403 model_not_allowed");
  EXPECT_EQ(served_by(post("/v1/chat/completions", R"({"model":"two/x"})", bob)), "two");
  EXPECT_EQ(served_by(post("/v1//chat/completions", chat_body, bob)), "404 weir_unknown_route");
  EXPECT_EQ(served_by(get("/v1/files", bob)), "two");
  EXPECT_EQ(served_by(get("/v1/files", bob + "x-weir-upstream: one\r\n")), "400 invalid_parameter");
  const std::string listed = call(get("/v1/models", bob)).body;
  EXPECT_NE(listed.find("two/x"), std::string::npos) << listed;
  EXPECT_EQ(listed.find("one"), std::string::npos) << listed;
  EXPECT_EQ(call(get("/v1/models/two/x", bob)).status(), 200);
  EXPECT_EQ(served_by(get("/v1/models/one/x", bob)), "403 model_not_allowed");
  for (const auto* upstream : {&one, &two}) {
    for (const HttpMessage& sent : upstream->requests()) {
      EXPECT_EQ(sent.count("x-api-key"), 0u);
      EXPECT_TRUE(sent.field("authorization").starts_with("Bearer sk-of-"));
    }
  }
  EXPECT_EQ(proxy->record(4).client, "alice");
}

// Anthropic's tokens are counted for a model that the body names, as a call to it would be.
TEST_F(Routing, CountsTokensWhereTheModelIs) {
  settings.clients.mode = ClientMode::keys;
  settings.clients.keys = {key_for("bob", "b")};
  settings.clients.keys[0].models = {"two/*"};
  settings.upstreams[1].limits.tpm = 1000;
  settings.upstreams[1].limits.rpm = 10;
  const std::string bob = "x-api-key: b\r\n";
  const HttpMessage counted = call(post("/v1/messages/count_tokens", R"({"model":"two/x","messages":[]})", bob));
  EXPECT_EQ(counted.field("x-weir-upstream"), "two");
  EXPECT_EQ(counted.count("x-weir-reserved-tokens"), 0u);
  EXPECT_EQ(two.requests().at(0).target(), "/v1/messages/count_tokens");
  EXPECT_EQ(proxy->record().model, "two/x");
  EXPECT_EQ(proxy->record().operation, "");
  RawClient operators(proxy->operators_port());
  operators.send(get("/weir/budgets"));
  const std::string budgets = operators.read_response().body;
  EXPECT_NE(budgets.find(R"("rpm":{"limit":10,"used":1,)"), std::string::npos) << budgets;
  EXPECT_NE(budgets.find(R"("tpm":{"limit":1000,"used":0,)"), std::string::npos) << budgets;
  EXPECT_EQ(served_by(post("/v1/messages/count_tokens", chat_body, bob)), "403 model_not_allowed");
}

TEST_F(Routing, TellsErrorsBelowMessagesInAnthropicsShape) {
  for (const std::string& refused : {post("/v1/messages/count_tokens", "{}"), post("/v1/messages/batches", "{}"),
                                     get("/v1/messages/batches/b"), get("/v1/messages/batches/b", "Host: twice\r\n")}) {
    const HttpMessage answer = call(refused);
    EXPECT_EQ(answer.status(), 400);
    EXPECT_TRUE(answer.body.starts_with(R"({"type":"error","error":{"type":"invalid_request_error",)")) << answer.body;
  }
}

TEST_F(Routing, PassesTheClientsOwnKeyThrough) {
  settings.clients.mode = ClientMode::pass_through;
  for (auto& upstream : settings.upstreams) upstream.api_key.clear();
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "Authorization: Bearer abc\r\n")), "one");
  EXPECT_EQ(one.requests().at(0).field("authorization"), "Bearer abc");
  EXPECT_EQ(proxy->record().client, "key-ba7816bf");
}

TEST_F(Routing, GuardsAnOpenDoorAgainstWebPages) {
  const auto with_host = [](const std::string& host) {
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: " + host +
           "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(chat_body.size()) + "\r\n\r\n" +
           chat_body;
  };
  EXPECT_EQ(served_by(with_host("localhost.evil.com")), "403 origin_not_allowed");
  EXPECT_EQ(served_by(with_host("127.0.0.1.evil.com")), "403 origin_not_allowed");
  EXPECT_EQ(served_by(with_host("[::1]:8080")), "one");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "Origin: http://evil.com\r\n")),
            "403 origin_not_allowed");
  const std::string simple =
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(chat_body.size()) +
      "\r\n";
  EXPECT_EQ(served_by(simple + "Content-Type: text/plain\r\n\r\n" + chat_body), "415 weir_unsupported_media");
  EXPECT_EQ(served_by(simple + "\r\n" + chat_body), "415 weir_unsupported_media");
  EXPECT_EQ(served_by(simple + "Content-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n" + chat_body),
            "415 weir_unsupported_media");
  EXPECT_EQ(served_by(simple + "Content-Type: Application/JSON ; charset=utf-8\r\n\r\n" + chat_body), "one");
  EXPECT_EQ(one.requests().size(), 2u);
}

TEST_F(Routing, ServesPagesOfListedOrigins) {
  settings.clients.origins = {"http://page"};
  const HttpMessage preflight = call(
      "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n\r\n");
  EXPECT_EQ(preflight.status(), 204);
  EXPECT_EQ(preflight.field("access-control-allow-origin"), "http://page");
  EXPECT_NE(preflight.field("access-control-allow-headers").find("authorization"), std::string::npos);
  EXPECT_NE(preflight.field("access-control-allow-methods").find("POST"), std::string::npos);
  const HttpMessage answer = call(post("/v1/chat/completions", chat_body, "Origin: http://page\r\n"));
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.field("access-control-allow-origin"), "http://page");
  const HttpMessage refusal = call(post("/v1/chat/completions", "{", "Origin: http://page\r\n"));
  EXPECT_EQ(refusal.field("access-control-allow-origin"), "http://page");
  EXPECT_EQ(refusal.field("access-control-expose-headers"), "*");
  EXPECT_EQ(call(get("/v1/models", "Origin: http://other\r\n")).status(), 403);
}

TEST_F(Routing, RecognisesALoop) {
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "Via: 1.1 nginx, 1.1 weir-test\r\n")), "508 weir_loop");
  EXPECT_EQ(served_by(post("/v1/chat/completions", chat_body, "Via: 1.1 weir-other\r\n")), "one");
  EXPECT_EQ(one.requests().at(0).field("via"), "1.1 weir-other, 1.1 weir-test");
}

TEST(Loop, ThroughItselfEndsWith508) {
  auto account = upstream_at(1);
  TestProxy proxy(settings_for({account}));
  account.port = proxy.port();
  account.authority = "localhost";
  proxy.reload(settings_for({account}));
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", chat_body));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 508);
  EXPECT_EQ(answer.count("x-weir-error"), 0u);  // of the upstream, which happens to be weir
}

TEST_F(Routing, KeepsItsOwnPathsToItself) {
  EXPECT_EQ(served_by(get("/v1/weir/me")), "");  // weir itself answers
  EXPECT_EQ(served_by(get("/v1/weir/queue")), "404 weir_unknown_route");
  EXPECT_EQ(served_by(get("/weir/queue")), "404 weir_unknown_route");
  EXPECT_EQ(served_by(post("/weir/reload", "")), "404 weir_unknown_route");
  EXPECT_EQ(served_by(get("/metrics")), "404 weir_unknown_route");
  EXPECT_EQ(one.connections() + two.connections(), 0u);
}

// TRACE brings back what it was sent, the account's key with it.
TEST_F(Routing, ForwardsTheMethodsOfModelApisOnly) {
  proxy.emplace(settings);
  for (const char* method : {"TRACE", "post", "PROPFIND", "GET2"}) {
    RawClient client(proxy->port());
    client.send(std::string(method) + " /v1/files HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const HttpMessage answer = client.read_response();
    EXPECT_EQ(answer.status(), 405) << method;
    EXPECT_EQ(answer.field("x-weir-error"), "weir_unknown_method");
    EXPECT_EQ(answer.field("allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  }
  RawClient client(proxy->port());
  client.send("PUT " + post("/v1/chat/completions", chat_body).substr(5));
  const HttpMessage answer = client.read_response();
  EXPECT_EQ(answer.status(), 405);
  EXPECT_EQ(answer.field("allow"), "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(one.connections() + two.connections(), 0u);
}

}  // namespace
}  // namespace weir::test
