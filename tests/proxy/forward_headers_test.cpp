// Which header fields cross, in each direction.
#include "proxy/forward_headers.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using Fields = std::vector<net::Field>;

net::RequestHead request_with(Fields fields) {
  net::RequestHead head;
  head.method = "POST";
  head.target = "/v1/x";
  head.fields = std::move(fields);
  return head;
}

// The lines of a head without the first and the empty one, sorted.
std::vector<std::string> lines_of(const std::string& head) {
  std::vector<std::string> lines;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  std::size_t at = head.find("\r\n") + 2;
  while (at + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", at);
    lines.push_back(head.substr(at, end - at));
    at = end + 2;
  }
  return lines;
}
bool has(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}
std::size_t count(const std::vector<std::string>& lines, const std::string& name) {
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return net::equals_ignoring_case(std::string_view(line).substr(0, line.find(':')), name);
  }));
}

class ToUpstream : public ::testing::Test {
 protected:
  std::vector<std::string> lines(Fields fields) {
    request.method = "POST";
    request.target = "/v1/chat/completions";
    request.via = "weir-1";
    request.request_id = "req-1";
    text = write_upstream_head(request, request_with(std::move(fields)), upstream, mode);
    return lines_of(text);
  }
  UpstreamRequest request;
  Upstream upstream = test::upstream_at(9, "up");
  ClientMode mode = ClientMode::open;
  std::string text;
};

TEST_F(ToUpstream, AnotherWeirIsToldTheCallersPlace) {
  request.caller = CallerInLine{"agent-7", "background", Duration(61'005)};
  const auto sent = lines({{"x-weir-lane", "agent-7"}, {"x-weir-priority", "interactive"}, {"X-Weir-Max-Wait", "90"}});
  EXPECT_TRUE(has(sent, "x-weir-lane: agent-7")) << text;
  EXPECT_TRUE(has(sent, "x-weir-priority: background")) << text;
  EXPECT_TRUE(has(sent, "x-weir-max-wait: 61.005")) << text;
  for (const char* name : {"x-weir-lane", "x-weir-priority", "x-weir-max-wait"})
    EXPECT_EQ(count(sent, name), 1u) << name;
  request.caller = CallerInLine{"", "normal", Duration(-5)};
  EXPECT_EQ(count(lines({}), "x-weir-lane"), 0u);
  EXPECT_TRUE(has(lines({}), "x-weir-max-wait: 0.000")) << text;
}

TEST_F(ToUpstream, EndToEndFieldsCrossAsTheyCame) {
  const auto out = lines({{"User-Agent", "OpenAI/Python 3.3.1"},
                          {"X-Stainless-Retry-Count", "0"},
                          {"Content-Type", "application/json"},
                          {"OpenAI-Beta", "assistants=v2"},
                          {"traceparent", "00-a"},
                          {"X-A", "1"},
                          {"X-A", "2"},
                          {"Accept", "application/json"},
                          {"X-Empty", ""}});
  for (const char* line : {"User-Agent: OpenAI/Python 3.3.1", "X-Stainless-Retry-Count: 0",
                           "Content-Type: application/json", "OpenAI-Beta: assistants=v2", "traceparent: 00-a",
                           "X-A: 1", "X-A: 2", "Accept: application/json", "X-Empty: "}) {
    EXPECT_TRUE(has(out, line)) << line;
  }
}

TEST_F(ToUpstream, FieldsOfTheHopDoNotCross) {
  const auto out = lines({{"Connection", "keep-alive, X-Mine ,\tx-other"},
                          {"connection", "third"},
                          {"X-Mine", "1"},
                          {"X-Other", "1"},
                          {"Third", "1"},
                          {"Keep-Alive", "timeout=5"},
                          {"Proxy-Connection", "keep-alive"},
                          {"TE", "trailers"},
                          {"Trailer", "x"},
                          {"Upgrade", "h2c"},
                          {"HTTP2-Settings", "x"},
                          {"Transfer-Encoding", "chunked"},
                          {"Content-Length", "5"},
                          {"Proxy-Authorization", "Basic x"},
                          {"Expect", "100-continue"},
                          {"Accept-Encoding", "gzip"},
                          {"Cookie", "a=b"},
                          {"Host", "localhost"},
                          {"X-Kept", "1"}});
  for (const char* name :
       {"connection", "x-mine", "x-other", "third", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
        "http2-settings", "transfer-encoding", "proxy-authorization", "expect", "cookie"}) {
    EXPECT_EQ(count(out, name), 0u) << name;
  }
  EXPECT_TRUE(has(out, "X-Kept: 1"));
  EXPECT_TRUE(has(out, "host: 127.0.0.1:9"));
  EXPECT_TRUE(has(out, "accept-encoding: identity"));
  EXPECT_EQ(count(out, "host"), 1u);
  EXPECT_EQ(count(out, "accept-encoding"), 1u);
}

TEST_F(ToUpstream, WeirsOwnFieldsDoNotCross) {
  const auto out = lines({{"X-Weir-Upstream", "up"},
                          {"x-weir-max-wait", "5"},
                          {"X-WEIR-anything", "1"},
                          {"x-litellm-max-queue-wait", "5"},
                          {"X-Gateway-Inference-Fairness-Id", "a"},
                          {"x-weird", "kept"}});
  EXPECT_EQ(text.find("x-weir-"), std::string::npos);
  EXPECT_EQ(text.find("X-Weir"), std::string::npos);
  EXPECT_EQ(text.find("X-WEIR"), std::string::npos);
  EXPECT_EQ(count(out, "x-litellm-max-queue-wait") + count(out, "x-gateway-inference-fairness-id"), 0u);
  EXPECT_TRUE(has(out, "x-weird: kept"));
}

const Fields all_credentials{
    {"Authorization", "Bearer client-secret"}, {"X-Api-Key", "client-secret"}, {"Api-Key", "client-secret"}};

TEST_F(ToUpstream, CredentialsOfClientsNeverCrossInKeysAndOpenMode) {
  for (const ClientMode each : {ClientMode::keys, ClientMode::open}) {
    for (const char* own : {"sk-own", ""}) {
      for (const AuthStyle style :
           {AuthStyle::bearer, AuthStyle::api_key_header, AuthStyle::x_api_key, AuthStyle::none}) {
        mode = each;
        upstream.api_key = own;
        upstream.auth = style;
        lines(all_credentials);
        EXPECT_EQ(text.find("client-secret"), std::string::npos);
      }
    }
  }
}

TEST_F(ToUpstream, AKeyOfWeirsOwnGoesInTheProvidersStyle) {
  for (const ClientMode each : {ClientMode::keys, ClientMode::open, ClientMode::pass_through}) {
    mode = each;
    upstream.auth = AuthStyle::bearer;
    EXPECT_TRUE(has(lines(all_credentials), "authorization: Bearer sk-of-up"));
    upstream.auth = AuthStyle::api_key_header;
    EXPECT_TRUE(has(lines(all_credentials), "api-key: sk-of-up"));
    EXPECT_EQ(count(lines(all_credentials), "authorization"), 0u);
    upstream.auth = AuthStyle::x_api_key;
    EXPECT_TRUE(has(lines(all_credentials), "x-api-key: sk-of-up"));
    upstream.auth = AuthStyle::none;
    lines(all_credentials);
    EXPECT_EQ(text.find("sk-of-up"), std::string::npos);
    EXPECT_EQ(text.find("client-secret"), std::string::npos);
  }
}

TEST_F(ToUpstream, PassThroughSendsTheClientsOwnCredential) {
  mode = ClientMode::pass_through;
  upstream.api_key = "";
  EXPECT_TRUE(has(lines({{"Authorization", "Bearer mine"}}), "Authorization: Bearer mine"));
  EXPECT_TRUE(has(lines({{"x-api-key", "mine"}}), "x-api-key: mine"));
}

TEST_F(ToUpstream, PassThroughSendsNoOtherCredentialThanTheOneThatPays) {
  mode = ClientMode::pass_through;
  upstream.api_key = "";
  for (const AuthStyle style : {AuthStyle::bearer, AuthStyle::api_key_header, AuthStyle::x_api_key}) {
    upstream.auth = style;
    for (const Fields& fields : {Fields{{"Authorization", "Bearer other"}, {"x-api-key", "pays"}},
                                 Fields{{"api-key", "other"}, {"x-api-key", "pays"}},
                                 Fields{{"api-key", "pays"}, {"Authorization", "Bearer other"}},
                                 Fields{{"x-api-key", ""}, {"Authorization", "Bearer pays"}}}) {
      lines(fields);
      EXPECT_EQ(text.find("other"), std::string::npos) << text;
      EXPECT_NE(text.find("pays"), std::string::npos) << text;
    }
  }
}

TEST_F(ToUpstream, PassThroughGivesAzureTheHeaderItWants) {
  mode = ClientMode::pass_through;
  upstream.api_key = "";
  upstream.auth = AuthStyle::api_key_header;
  auto out = lines({{"Authorization", "Bearer mine"}});
  EXPECT_TRUE(has(out, "api-key: mine"));
  EXPECT_EQ(count(out, "authorization"), 0u);
  EXPECT_TRUE(has(lines({{"Authorization", "bearer   mine"}}), "api-key: mine"));
  out = lines({{"Authorization", "Bearer mine"}, {"api-key", "this one"}});
  EXPECT_TRUE(has(out, "api-key: this one"));
  EXPECT_EQ(count(out, "api-key"), 1u);
}

TEST_F(ToUpstream, ProviderHeadersAreAddedUnlessTheClientSentThem) {
  upstream.headers = {{"anthropic-version", "2023-06-01"}};
  EXPECT_TRUE(has(lines({}), "anthropic-version: 2023-06-01"));
  const auto out = lines({{"Anthropic-Version", "2030-01-01"}});
  EXPECT_TRUE(has(out, "Anthropic-Version: 2030-01-01"));
  EXPECT_EQ(count(out, "anthropic-version"), 1u);
}

TEST_F(ToUpstream, ViaIsExtendedAndTheRequestIdIsWeirs) {
  auto out = lines({{"x-request-id", "bad id"}});
  EXPECT_TRUE(has(out, "via: 1.1 weir-1"));
  EXPECT_TRUE(has(out, "x-request-id: req-1"));
  EXPECT_EQ(count(out, "x-request-id"), 1u);
  out = lines({{"Via", "1.0 a"}, {"via", "1.1 b (c), 1.1 d"}});
  EXPECT_TRUE(has(out, "via: 1.0 a, 1.1 b (c), 1.1 d, 1.1 weir-1")) << text;
  EXPECT_EQ(count(out, "via"), 1u);
}

TEST_F(ToUpstream, FramingIsThatOfTheBodyAsSent) {
  EXPECT_TRUE(has(lines({}), "content-length: 0"));
  request.body = {net::BodyFraming::Kind::length, 12};
  EXPECT_TRUE(has(lines({{"content-length", "99"}}), "content-length: 12"));
  request.body = {net::BodyFraming::Kind::chunked, 0};
  auto out = lines({{"content-length", "99"}});
  EXPECT_TRUE(has(out, "transfer-encoding: chunked"));
  EXPECT_EQ(count(out, "content-length"), 0u);
}

TEST_F(ToUpstream, AHopWithoutATunnelGetsTheAbsoluteForm) {
  request.absolute_form = true;
  request.proxy_authorization = "Basic cDpw";
  EXPECT_TRUE(has(lines({{"proxy-authorization", "Basic other"}}), "proxy-authorization: Basic cDpw"));
  EXPECT_TRUE(text.starts_with("POST http://127.0.0.1:9/v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_EQ(text.find("other"), std::string::npos);
}

class ToClient : public ::testing::Test {
 protected:
  std::vector<std::string> lines(Fields fields, int status = 200) {
    net::ResponseHead head;
    head.status = status;
    head.fields = std::move(fields);
    response.request_id = "req-1";
    response.upstream = "up";
    text = write_downstream_head(response, head);
    return lines_of(text);
  }
  DownstreamResponse response;
  std::string text;
};

TEST_F(ToClient, EndToEndFieldsCrossAndTheHopsDoNot) {
  response.body = {net::BodyFraming::Kind::chunked, 0};
  const auto out = lines({{"Content-Type", "text/event-stream"},
                          {"openai-processing-ms", "5"},
                          {"x-ratelimit-limit-requests", "10"},
                          {"Retry-After", "3"},
                          {"Connection", "close, X-Hop"},
                          {"X-Hop", "1"},
                          {"Keep-Alive", "x"},
                          {"Transfer-Encoding", "chunked"},
                          {"Trailer", "x"},
                          {"Proxy-Authenticate", "x"},
                          {"Upgrade", "h2"},
                          {"Set-Cookie", "a=b"},
                          {"Alt-Svc", "h3"},
                          {"Content-Encoding", "gzip"}});
  for (const char* line :
       {"Content-Type: text/event-stream", "openai-processing-ms: 5", "x-ratelimit-limit-requests: 10",
        "Retry-After: 3", "Content-Encoding: gzip", "transfer-encoding: chunked", "x-request-id: req-1",
        "x-weir-upstream: up", "x-weir-attempts: 1"}) {
    EXPECT_TRUE(has(out, line)) << line;
  }
  for (const char* name : {"connection", "x-hop", "keep-alive", "trailer", "proxy-authenticate", "upgrade",
                           "set-cookie", "alt-svc", "content-length"}) {
    EXPECT_EQ(count(out, name), 0u) << name;
  }
  EXPECT_EQ(count(out, "transfer-encoding"), 1u);
}

TEST_F(ToClient, ARefusalOfAnotherWeirIsStillKnownAsOne) {
  response.from_weir = true;
  const auto out = lines({{"X-Weir-Error", "weir_deadline"}, {"x-weir-queue-ms", "5"}, {"x-weir-attempts", "7"}}, 429);
  EXPECT_TRUE(has(out, "X-Weir-Error: weir_deadline")) << text;
  EXPECT_EQ(count(out, "x-weir-queue-ms"), 0u);
  EXPECT_TRUE(has(out, "x-weir-attempts: 1")) << text;
}

TEST_F(ToClient, OnlyWeirSpeaksInItsOwnHeaders) {
  const auto out = lines({{"X-Weir-Error", "forged"},
                          {"x-weir-upstream", "forged"},
                          {"Access-Control-Allow-Origin", "*"},
                          {"x-request-id", "theirs"}});
  EXPECT_EQ(text.find("forged"), std::string::npos);
  EXPECT_EQ(count(out, "access-control-allow-origin"), 0u);
  EXPECT_TRUE(has(out, "x-weir-upstream-request-id: theirs"));
  EXPECT_TRUE(has(out, "x-request-id: req-1"));
}

TEST_F(ToClient, SaysWhatWeirKnows) {
  response.ignored_params = "temperature, top_p";
  response.attempts = 2;
  response.keep_alive = false;
  response.event_stream = true;
  response.cors_origin = "http://page";
  const auto out = lines({});
  for (const char* line : {"x-weir-ignored-params: temperature, top_p", "x-weir-attempts: 2", "connection: close",
                           "cache-control: no-cache", "x-accel-buffering: no",
                           "access-control-allow-origin: http://page", "vary: origin"}) {
    EXPECT_TRUE(has(out, line)) << line;
  }
}

TEST_F(ToClient, LengthsOfMissingBodies) {
  EXPECT_TRUE(has(lines({{"content-length", "0"}}), "content-length: 0"));
  EXPECT_EQ(count(lines({}, 204), "content-length"), 0u);
  EXPECT_EQ(count(lines({{"content-length", "7"}}, 304), "content-length"), 0u);
  response.to_head = true;
  EXPECT_TRUE(has(lines({{"content-length", "500"}}), "content-length: 500"));
  EXPECT_EQ(count(lines({{"transfer-encoding", "chunked"}}), "content-length"), 0u);
}

TEST_F(ToClient, TheProvidersIdBehindAnotherWeirIsTheOneTold) {
  const Fields fields{{"x-request-id", "req-1"}, {"x-weir-upstream-request-id", "021"}};
  response.from_weir = true;
  EXPECT_TRUE(has(lines(fields), "x-weir-upstream-request-id: 021")) << text;
  EXPECT_EQ(count(lines(fields), "x-weir-upstream-request-id"), 1u) << text;
  response.from_weir = false;
  EXPECT_TRUE(has(lines(fields), "x-weir-upstream-request-id: req-1")) << text;
}

TEST_F(ToClient, AnthropicsIdHasAnotherName) {
  EXPECT_TRUE(has(lines({{"request-id", "req_57"}}), "x-weir-upstream-request-id: req_57")) << text;
  EXPECT_TRUE(has(lines({{"request-id", "a"}, {"x-request-id", "b"}}), "x-weir-upstream-request-id: b")) << text;
}

TEST(QueuedAtUpstream, IsWhatAnotherWeirSays) {
  const auto queued = [](Fields fields) {
    net::ResponseHead head;
    head.fields = std::move(fields);
    return queued_at_upstream(head).count();
  };
  EXPECT_EQ(queued({{"x-weir-queue-ms", "1500"}}), 1500);
  EXPECT_EQ(queued({{"x-weir-queue-ms", "99999999999"}}), 86'400'000) << "nobody waits for more than a day";
  for (const char* nonsense : {"", "-1", "1.5", "99999999999999999999999", "soon"})
    EXPECT_EQ(queued({{"x-weir-queue-ms", nonsense}}), 0) << nonsense;
  EXPECT_EQ(queued({}), 0);
}

TEST(WaitingHead, SaysOnlyWhatIsCertain) {
  WaitingResponse response;
  response.content_type = "text/event-stream";
  response.request_id = "req-1";
  EXPECT_EQ(
      write_waiting_head(response),
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req-1\r\nx-weir-queue-state: waiting\r\n"
      "transfer-encoding: chunked\r\n\r\n");
  response.cors_origin = "http://page";
  EXPECT_NE(write_waiting_head(response).find("\r\naccess-control-allow-origin: http://page\r\n"
                                              "access-control-expose-headers: *\r\nvary: origin\r\n"),
            std::string::npos);
}

TEST(Forwardable, NotWhatCameThroughThisWeirBefore) {
  const auto loops = [](Fields fields) {
    return check_forwardable(request_with(std::move(fields)), "weir-1").has_value();
  };
  EXPECT_TRUE(loops({{"Via", "1.1 weir-1"}}));
  EXPECT_TRUE(loops({{"Via", "1.1 a, 1.1 weir-1, 1.1 b"}}));
  EXPECT_TRUE(loops({{"Via", "1.1 a"}, {"via", "1.1 b,1.1 weir-1 (comment)"}}));
  EXPECT_FALSE(loops({{"Via", "1.1 weir-10"}}));
  EXPECT_FALSE(loops({{"Via", "1.1 weir-2, 1.1 other-weir-1, 1.1 weir-1b"}}));
  EXPECT_FALSE(loops({}));
  EXPECT_EQ(check_forwardable(request_with({{"Via", "1.1 weir-1"}}), "weir-1")->status, 508);
}

TEST(Forwardable, NotWhatHidesFieldsTheMessageNeeds) {
  for (const char* named : {"host", "Authorization", "close, CONTENT-LENGTH", "content-type"}) {
    const auto refusal = check_forwardable(request_with({{"Connection", named}}), "weir-1");
    ASSERT_TRUE(refusal) << named;
    EXPECT_EQ(refusal->status, 400);
    EXPECT_TRUE(refusal->close);
  }
  EXPECT_FALSE(check_forwardable(request_with({{"Connection", "keep-alive, Upgrade"}}), "weir-1"));
}

TEST(RequestId, OfTheClientIsUsedWhenItIsPlain) {
  EXPECT_EQ(usable_request_id(request_with({{"X-Request-Id", "a-Z_0.9:x"}})), "a-Z_0.9:x");
  for (const char* id : {"Root=1-67891233-abcdef012345678912345678", "a/b", "a+b=", "a@b", "{a}", "!", "~"})
    EXPECT_EQ(usable_request_id(request_with({{"x-request-id", id}})), id);
  EXPECT_EQ(usable_request_id(request_with({{"x-request-id", std::string(128, 'a').c_str()}})), std::string(128, 'a'));
  for (const std::string& id :
       {std::string("a b"), std::string("a\tb"), std::string("a\x7f"), std::string("a'b"), std::string("a\\b"),
        std::string("a`b"), std::string("a\"b"), std::string("\xc3\xa9"), std::string(129, 'a'), std::string()}) {
    EXPECT_EQ(usable_request_id(request_with({{"x-request-id", id}})), "") << id;
  }
}

}  // namespace
}  // namespace weir::proxy
