// Every endpoint over loopback: the shapes of answers, whole and streamed, and numbers that agree.
#include <gtest/gtest.h>

#include <set>

#include "simulator/client_support.hpp"
#include "simulator/digest.hpp"
#include "simulator/simulator.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

using test::at;
using test::chat;
using test::Client;
using test::Event;
using test::events_of;
using test::fast;
using test::Response;

class Api : public ::testing::Test {
 protected:
  Simulator simulator_{fast()};
  Client client_{simulator_.port()};
};

TEST_F(Api, ChatAnswersWhole) {
  const Response response = client_.post("/v1/chat/completions", chat("hello"));
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.header("content-type"), "application/json");
  EXPECT_EQ(response.header("x-request-id").substr(0, 4), "req_");
  EXPECT_FALSE(response.header("openai-processing-ms").empty());
  EXPECT_EQ(at(response.body, "/object"), "chat.completion");
  EXPECT_EQ(at(response.body, "/choices/0/message/content"), words(30));
  EXPECT_EQ(at(response.body, "/choices/0/finish_reason"), "stop");
  EXPECT_EQ(at(response.body, "/usage/prompt_tokens"), "8");  // ceil(5 / 4) + 3 + 3
  EXPECT_EQ(at(response.body, "/usage/completion_tokens"), "30");
  EXPECT_EQ(at(response.body, "/usage/total_tokens"), "38");
}

TEST_F(Api, ChatStreams) {
  const Response response = client_.post("/v1/chat/completions", chat("hello", R"(,"stream":true)"));
  EXPECT_EQ(response.header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(response.end, Response::End::complete);
  const auto events = events_of(response.body);
  ASSERT_EQ(events.size(), 1 + 30 + 1 + 1u);
  for (const Event& event : events) EXPECT_EQ(event.name, "") << "chat has no event names";
  EXPECT_EQ(at(events[0].data, "/choices/0/delta/role"), "assistant");
  EXPECT_EQ(at(events[0].data, "/usage"), "<none>");
  EXPECT_EQ(test::chat_text(events), words(30));
  EXPECT_EQ(at(events[31].data, "/choices/0/finish_reason"), "stop");
  EXPECT_EQ(events[32].data, "[DONE]");
  for (std::size_t i = 1; i < 32; ++i) EXPECT_EQ(at(events[i].data, "/id"), at(events[0].data, "/id"));
}

TEST_F(Api, ChatStreamSaysUsageWhenAsked) {
  const Response response =
      client_.post("/v1/chat/completions", chat("hi", R"(,"stream":true,"stream_options":{"include_usage":true})"));
  const auto events = events_of(response.body);
  ASSERT_EQ(events.size(), 34u);
  EXPECT_EQ(at(events[5].data, "/usage"), "null");
  EXPECT_EQ(at(events[32].data, "/choices"), "[]");
  EXPECT_EQ(at(events[32].data, "/usage/completion_tokens"), "30");
  const Response running = client_.post("/v1/chat/completions",
                                        chat("hi", R"(,"stream":true,"stream_options":{"chunk_include_usage":true})"));
  EXPECT_EQ(at(events_of(running.body)[5].data, "/usage/completion_tokens"), "5");
}

TEST(StreamUsageOption, RefusesWhatTheProviderDoesNotTake) {
  const auto status_of = [](StreamUsage taken, const std::string& members) {
    Options options = fast();
    options.stream_usage = taken;
    Simulator simulator{options};
    Client client(simulator.port());
    const Response response = client.post("/v1/chat/completions", chat("hi", R"(,"stream":true)" + members));
    return std::to_string(response.status) + (response.status == 200 ? "" : " " + at(response.body, "/error/param"));
  };
  const std::string total = R"(,"stream_options":{"include_usage":true})";
  const std::string running = R"(,"stream_options":{"include_usage":true,"chunk_include_usage":true})";
  EXPECT_EQ(status_of(StreamUsage::none, ""), "200");
  EXPECT_EQ(status_of(StreamUsage::none, total), "400 stream_options");
  EXPECT_EQ(status_of(StreamUsage::total, total), "200");
  EXPECT_EQ(status_of(StreamUsage::total, running), "400 stream_options.chunk_include_usage");
  EXPECT_EQ(status_of(StreamUsage::running, running), "200");
}

TEST_F(Api, ChatCapsTheAnswer) {
  for (const char* cap : {"max_tokens", "max_completion_tokens"}) {
    const Response response = client_.post("/v1/chat/completions", chat("hi", ",\"" + std::string(cap) + "\":3"));
    EXPECT_EQ(at(response.body, "/choices/0/message/content"), "one two three");
    EXPECT_EQ(at(response.body, "/choices/0/finish_reason"), "length");
    EXPECT_EQ(at(response.body, "/usage/completion_tokens"), "3");
  }
}

TEST_F(Api, ChatGivesSeveralChoices) {
  const Response whole = client_.post("/v1/chat/completions", chat("hi", R"(,"n":3)"));
  EXPECT_EQ(at(whole.body, "/choices/2/index"), "2");
  EXPECT_EQ(at(whole.body, "/usage/completion_tokens"), "90");
  const Response stream = client_.post("/v1/chat/completions", chat("hi", R"(,"n":2,"stream":true)"));
  std::set<std::string> finished;
  for (const Event& event : events_of(stream.body)) {
    if (at(event.data, "/choices/0/finish_reason") == "stop") finished.insert(at(event.data, "/choices/0/index"));
  }
  EXPECT_EQ(finished, (std::set<std::string>{"0", "1"}));
}

TEST_F(Api, ChatEchoesBytes) {
  const std::string text = R"(h\u00e9llo \"q\" \\ \n\t 中文 \ud83d\ude42 end)";
  const std::string wanted = "h\xC3\xA9llo \"q\" \\ \n\t 中文 \xF0\x9F\x99\x82 end";
  EXPECT_EQ(at(client_.post("/v1/chat/completions", chat("echo: " + text)).body, "/choices/0/message/content"), wanted);
  const Response stream = client_.post("/v1/chat/completions", chat("echo: " + text, R"(,"stream":true)"));
  EXPECT_EQ(test::chat_text(events_of(stream.body)), wanted);
}

TEST_F(Api, ReasoningModelsThinkFirst) {
  std::string body = R"({"model":"deepseek-r1","stream":true,"messages":[{"role":"user","content":"hi"}]})";
  const auto events = events_of(client_.post("/v1/chat/completions", body).body);
  std::string thoughts;
  for (std::size_t i = 1; i <= 15; ++i) thoughts += at(events[i].data, "/choices/0/delta/reasoning_content");
  EXPECT_EQ(thoughts, words(15));
  EXPECT_EQ(test::chat_text(events), words(30));
  body.replace(body.find("\"stream\":true,"), 14, "");
  const Response whole = client_.post("/v1/chat/completions", body);
  EXPECT_EQ(at(whole.body, "/choices/0/message/reasoning_content"), words(15));
  EXPECT_EQ(at(whole.body, "/usage/completion_tokens"), "45");
  EXPECT_EQ(at(whole.body, "/usage/completion_tokens_details/reasoning_tokens"), "15");
}

constexpr std::string_view weather_tool =
    R"(,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":)"
    R"({"city":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["c","f"]}}}}}])";
constexpr std::string_view weather_arguments = R"({"city":"Paris","days":1,"unit":"c"})";

TEST_F(Api, ToolsAreCalledWhenAskedFor) {
  const Response whole = client_.post("/v1/chat/completions", chat("what is the weather?", weather_tool));
  EXPECT_EQ(at(whole.body, "/choices/0/finish_reason"), "tool_calls");
  EXPECT_EQ(at(whole.body, "/choices/0/message/content"), "null");
  EXPECT_EQ(at(whole.body, "/choices/0/message/tool_calls/0/function/name"), "get_weather");
  EXPECT_EQ(at(whole.body, "/choices/0/message/tool_calls/0/function/arguments"), weather_arguments);

  const Response stream = client_.post(
      "/v1/chat/completions", chat("hi", std::string(weather_tool) + R"(,"tool_choice":"required","stream":true)"));
  std::string arguments;
  std::size_t pieces = 0;
  for (const Event& event : events_of(stream.body)) {
    const std::string piece = at(event.data, "/choices/0/delta/tool_calls/0/function/arguments");
    if (piece == "<none>" || piece == "<bad>") continue;
    arguments += piece;
    ++pieces;
  }
  EXPECT_EQ(arguments, weather_arguments);
  EXPECT_GT(pieces, 3u);
}

TEST_F(Api, ToolsAreNotCalledOtherwise) {
  EXPECT_EQ(at(client_.post("/v1/chat/completions", chat("hi", weather_tool)).body, "/choices/0/finish_reason"),
            "stop");
  EXPECT_EQ(
      at(client_.post("/v1/chat/completions", chat("weather", std::string(weather_tool) + R"(,"tool_choice":"none")"))
             .body,
         "/choices/0/finish_reason"),
      "stop");
  // What the tool said is answered in words: an agent's loop ends.
  const std::string after =
      R"({"model":"m","messages":[{"role":"user","content":"weather?"},{"role":"assistant","content":null,)"
      R"("tool_calls":[]},{"role":"tool","tool_call_id":"1","content":"sunny"}])" +
      std::string(weather_tool) + "}";
  EXPECT_EQ(at(client_.post("/v1/chat/completions", after).body, "/choices/0/finish_reason"), "stop");
}

TEST_F(Api, Completions) {
  const Response whole = client_.post("/v1/completions", R"({"model":"m","prompt":"12345678","max_tokens":2,"n":2})");
  EXPECT_EQ(at(whole.body, "/object"), "text_completion");
  EXPECT_EQ(at(whole.body, "/choices/1/text"), "one two");
  EXPECT_EQ(at(whole.body, "/usage/prompt_tokens"), "2");
  EXPECT_EQ(at(whole.body, "/usage/completion_tokens"), "4");
  const Response ids = client_.post("/beta/completions", R"({"model":"m","prompt":[[1,2,3],[4,5]],"suffix":"abc"})");
  EXPECT_EQ(at(ids.body, "/usage/prompt_tokens"), "6");
  const auto events = events_of(client_.post("/v1/completions", R"({"model":"m","prompt":"x","stream":true})").body);
  ASSERT_EQ(events.size(), 32u);
  EXPECT_EQ(at(events[1].data, "/choices/0/text"), " two");
  EXPECT_EQ(events.back().data, "[DONE]");
}

TEST_F(Api, Embeddings) {
  const Response one = client_.post("/v1/embeddings", R"({"model":"e","input":"12345"})");
  EXPECT_EQ(at(one.body, "/usage/prompt_tokens"), "2");
  EXPECT_NE(at(one.body, "/data/0/embedding/31"), "<none>");
  EXPECT_EQ(at(one.body, "/data/0/embedding/32"), "<none>");
  const Response same = client_.post("/v1/embeddings", R"({"model":"e","input":["other","12345"]})");
  EXPECT_EQ(at(same.body, "/data/1/embedding"), at(one.body, "/data/0/embedding")) << "it depends on the input alone";
  EXPECT_NE(at(same.body, "/data/0/embedding"), at(one.body, "/data/0/embedding"));
  const Response ids = client_.post(
      "/v1/embeddings", R"({"model":"e","input":[[1,2,3],[4,5,6,7]],"encoding_format":"base64","dimensions":3})");
  EXPECT_EQ(at(ids.body, "/usage/total_tokens"), "7");
  EXPECT_EQ(at(ids.body, "/data/1/embedding").size(), 16u);  // 12 bytes
}

TEST_F(Api, ResponsesStreamNamedEvents) {
  const Response response =
      client_.post("/v1/responses", R"({"model":"m","stream":true,"input":"hi","max_output_tokens":3})");
  const auto events = events_of(response.body);
  std::string text;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].name, at(events[i].data, "/type"));
    EXPECT_EQ(at(events[i].data, "/sequence_number"), std::to_string(i));
    if (events[i].name == "response.output_text.delta") text += at(events[i].data, "/delta");
  }
  EXPECT_EQ(text, "one two three");
  EXPECT_EQ(events.front().name, "response.created");
  EXPECT_EQ(events.back().name, "response.incomplete");
  EXPECT_EQ(at(events.back().data, "/response/usage/output_tokens"), "3");
  EXPECT_EQ(at(events.back().data, "/response/output/0/content/0/text"), "one two three");
}

TEST_F(Api, ResponsesAreRemembered) {
  const Response first = client_.post("/v1/responses", R"({"model":"m","input":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(at(first.body, "/status"), "completed");
  const std::string id = at(first.body, "/id");
  EXPECT_EQ(client_.get("/v1/responses/" + id).body, first.body);
  const Response next =
      client_.post("/v1/responses", R"({"model":"m","input":"and?","previous_response_id":")" + id + "\"}");
  EXPECT_EQ(at(next.body, "/previous_response_id"), id);
  const Response unknown =
      client_.post("/v1/responses", R"({"model":"m","input":"and?","previous_response_id":"resp_x"})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_EQ(at(unknown.body, "/error/code"), "previous_response_not_found");
  client_.send("DELETE /v1/responses/" + id + " HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(at(client_.receive().body, "/deleted"), "true");
  EXPECT_EQ(client_.get("/v1/responses/" + id).status, 404);
}

TEST_F(Api, MessagesStreamNamedEvents) {
  const std::string body =
      R"({"model":"claude","max_tokens":5,"stream":true,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]})";
  const Response response = client_.post("/anthropic/v1/messages", body);
  EXPECT_EQ(response.header("request-id").substr(0, 4), "req_");
  const auto events = events_of(response.body);
  std::string text;
  bool pinged = false;
  for (const Event& event : events) {
    EXPECT_EQ(event.name, at(event.data, "/type"));
    pinged = pinged || event.name == "ping";
    if (event.name == "content_block_delta") text += at(event.data, "/delta/text");
  }
  EXPECT_EQ(text, words(5));
  EXPECT_TRUE(pinged);
  EXPECT_EQ(at(events.front().data, "/message/usage/input_tokens"), "10");  // ceil(3 / 4) + 2 x 3 + 3
  EXPECT_EQ(at(events[events.size() - 2].data, "/delta/stop_reason"), "max_tokens");
  EXPECT_EQ(at(events[events.size() - 2].data, "/usage/output_tokens"), "5");
  EXPECT_EQ(events.back().name, "message_stop");
}

TEST_F(Api, MessagesAnswerWholeWithThoughtsAndTools) {
  const Response thoughtful = client_.post(
      "/v1/messages",
      R"({"model":"claude","max_tokens":99,"thinking":{"type":"enabled","budget_tokens":10},"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(at(thoughtful.body, "/content/0/type"), "thinking");
  EXPECT_EQ(at(thoughtful.body, "/content/1/text"), words(30));
  EXPECT_EQ(at(thoughtful.body, "/stop_reason"), "end_turn");
  const Response tool = client_.post(
      "/v1/messages",
      R"({"model":"claude","max_tokens":99,"tools":[{"name":"look","input_schema":{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"boolean"}}}}}}],"tool_choice":{"type":"any"},"messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(at(tool.body, "/content/0/name"), "look");
  EXPECT_EQ(at(tool.body, "/content/0/input/a/b"), "true");
  EXPECT_EQ(at(tool.body, "/stop_reason"), "tool_use");
  const Response missing =
      client_.post("/v1/messages", R"({"model":"claude","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(missing.status, 400);
  EXPECT_EQ(at(missing.body, "/type"), "error");
  EXPECT_EQ(at(missing.body, "/error/type"), "invalid_request_error");
}

TEST_F(Api, ModelsAndBalance) {
  const Response list = client_.get("/v1/models");
  EXPECT_EQ(at(list.body, "/object"), "list");
  EXPECT_EQ(at(list.body, "/data/0/object"), "model");
  EXPECT_EQ(at(client_.get("/models/deepseek-r1").body, "/id"), "deepseek-r1");
  EXPECT_EQ(client_.get("/v1/models/no-such-model").status, 404);
  EXPECT_EQ(at(client_.get("/user/balance").body, "/balance_infos/0/currency"), "CNY");
}

TEST_F(Api, HeadIsAnsweredLikeGetWithoutTheBody) {
  for (const std::string path : {"/v1/models", "/v1/models/deepseek-r1", "/v1/files", "/v1/files/file-sim-9/content"}) {
    const Response get = client_.get(path);
    EXPECT_EQ(get.status, 200) << path;
    Client client(simulator_.port());
    client.send("HEAD " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const Response head = client.receive();
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.header("content-length"), std::to_string(get.body.size())) << path;
    EXPECT_EQ(head.end, Response::End::closed) << path;
    EXPECT_EQ(head.body, "") << path;
  }
}

TEST_F(Api, FilesComeBackAsTheyWere) {
  std::string content(3u << 20, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 7 % 256);
  const std::string body =
      "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: "
      "form-data; name=\"file\"; filename=\"x.bin\"\r\n\r\n" +
      content + "\r\n--b--\r\n";
  client_.send(
      "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  client_.send(body);
  const Response uploaded = client_.receive();
  EXPECT_EQ(at(uploaded.body, "/bytes"), std::to_string(content.size()));
  EXPECT_EQ(at(uploaded.body, "/sha256"), sha256(content));
  EXPECT_EQ(at(uploaded.body, "/body_sha256"), sha256(body));
  const std::string id = at(uploaded.body, "/id");
  const Response downloaded = client_.get("/v1/files/" + id + "/content");
  EXPECT_TRUE(downloaded.body == content);
  EXPECT_EQ(at(client_.get("/v1/files").body, "/data/0/id"), id);
  EXPECT_EQ(client_.get("/v1/files/file-none").status, 404);
  EXPECT_EQ(client_.get("/v1/files/file-sim-5000000/content").body.size(), 5'000'000u);
}

TEST_F(Api, RefusesAsAProviderWould) {
  struct Case {
    const char* name;
    std::string body;
    std::string headers;
    int status;
    const char* code;
  };
  const Case cases[] = {
      {"unknown model", R"({"model":"no-such-model","messages":[{"role":"user","content":"x"}]})", "", 404,
       "model_not_found"},
      {"bad key", chat("x"), "Authorization: Bearer invalid-key\r\n", 401, "invalid_api_key"},
      {"bad key, other header", chat("x"), "api-key: sk-invalid-key\r\n", 401, "invalid_api_key"},
      {"no JSON", "{\"model\":", "", 400, "null"},
      {"no object", "[]", "", 400, "null"},
      {"no model", R"({"messages":[]})", "", 400, "null"},
      {"no messages", R"({"model":"m"})", "", 400, "null"},
      {"wrong type", R"({"model":"m","messages":"x"})", "", 400, "null"},
      {"absurd n", chat("x", R"(,"n":1000000)"), "", 400, "null"},
      {"unknown header", chat("x"), "x-sim-nonsense: 1\r\n", 400, "null"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const Response response = client_.post("/v1/chat/completions", test.body, test.headers);
    EXPECT_EQ(response.status, test.status);
    EXPECT_EQ(at(response.body, "/error/code"), test.code);
  }
  EXPECT_EQ(client_.get("/v1/audio/voices").status, 404);
  EXPECT_EQ(client_.get("/v1/chat/completions").status, 404);
  EXPECT_EQ(client_.post("/v1/chat/completions", chat("the connection still works")).status, 200);
}

TEST_F(Api, ShowsTheLastRequestAsItWas) {
  const std::string body = "{ \"model\" : \"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xC3\xA9\"}] }";
  client_.send(
      "POST /v1/chat/completions?x=1 HTTP/1.1\r\nhOST: a\r\nX-Custom:  padded \r\nTransfer-Encoding: chunked\r\n\r\n");
  client_.send("5\r\n" + body.substr(0, 5) + "\r\n" + "a;ext=1\r\n" + body.substr(5, 10) + "\r\n");
  const std::string rest = body.substr(15);
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", rest.size());
  client_.send(size + rest + "\r\n0\r\ntrailer: x\r\n\r\n");
  ASSERT_EQ(client_.receive().status, 200);
  const Response last = client_.get("/__last");
  EXPECT_EQ(at(last.body, "/method"), "POST");
  EXPECT_EQ(at(last.body, "/target"), "/v1/chat/completions?x=1");
  EXPECT_EQ(at(last.body, "/headers/0/0"), "hOST");
  EXPECT_EQ(at(last.body, "/headers/1/1"), "padded");
  EXPECT_EQ(at(last.body, "/body"), body);
  EXPECT_EQ(at(last.body, "/body_sha256"), sha256(body));
  EXPECT_EQ(client_.get("/__last/body").body, body);
  EXPECT_NE(client_.get("/__last/head").body.find("X-Custom:  padded \r\n"), std::string::npos);
}

TEST_F(Api, TakesLargePromptsAndManyRequestsOnOneConnection) {
  const Response large = client_.post("/v1/chat/completions", chat(std::string(4u << 20, 'x')));
  EXPECT_EQ(at(large.body, "/usage/prompt_tokens"), std::to_string((1u << 20) + 6));
  for (int i = 0; i < 200; ++i) ASSERT_EQ(client_.post("/v1/chat/completions", chat("hi")).status, 200);
  std::string pipelined;
  for (int i = 0; i < 50; ++i) pipelined += test::post_text("/v1/chat/completions", chat("hi", R"(,"max_tokens":1)"));
  client_.send(pipelined);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(at(client_.receive().body, "/choices/0/message/content"), "one");
  EXPECT_EQ(simulator_.stats().connections_opened, 1u);
}

TEST_F(Api, AnswersBytesThatAreNoRequest) {
  struct Case {
    const char* name;
    std::string bytes;
    int status;
  };
  const Case cases[] = {
      {"garbage", "hello\r\n\r\n", 400},
      {"both lengths", "POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"bad chunk", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"head too large", "GET /" + std::string(70'000, 'x'), 431},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    Client client(simulator_.port());
    client.send(test.bytes);
    const Response response = client.receive();
    EXPECT_EQ(response.status, test.status);
    EXPECT_EQ(response.header("connection"), "close");
  }
}

TEST_F(Api, ServesOldClientsAndExpectations) {
  client_.send("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " +
               std::to_string(chat("hi").size()) + "\r\n\r\n");
  EXPECT_EQ(client_.receive_some(1).substr(0, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  client_.send(chat("hi"));
  EXPECT_EQ(client_.receive().status, 200);

  Client old(simulator_.port());
  const std::string body = chat("hi", R"(,"stream":true)");
  old.send("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const Response response = old.receive();
  EXPECT_EQ(response.end, Response::End::closed);
  EXPECT_EQ(response.header("transfer-encoding"), "");
  EXPECT_EQ(events_of(response.body).back().data, "[DONE]");
}

}  // namespace
}  // namespace weir::simulator
