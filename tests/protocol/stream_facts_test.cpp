// What weir concludes from the events of a stream: first content, end, error, usage. One event a case.
#include <gtest/gtest.h>

#include "protocol/filter_support.hpp"

namespace weir::protocol {
namespace {

struct FactsCase {
  const char* name;
  Api api;
  const char* event;  // without the blank line
  bool content, terminal, error;
  const char* instead = nullptr;  // what crosses, where it is not the event as it came
};

const FactsCase streams[] = {
    // Chat: what comes before the first word.
    {"role only", Api::chat, R"(data: {"choices":[{"delta":{"role":"assistant"}}]})", false, false, false},
    {"role with empty text", Api::chat, R"(data: {"choices":[{"delta":{"role":"assistant","content":""}}]})", false,
     false, false},
    {"null text", Api::chat,
     R"(data: {"choices":[{"delta":{"content":null,"reasoning_content":null,"tool_calls":null}}]})", false, false,
     false},
    {"empty tool calls", Api::chat, R"(data: {"choices":[{"delta":{"tool_calls":[ ], "function_call":{ }}}]})", false,
     false, false},
    {"no choices", Api::chat, R"(data: {"choices":[]})", false, false, false},
    {"null finish reason", Api::chat, R"(data: {"choices":[{"delta":{},"finish_reason":null}]})", false, false, false},
    {"empty finish reason", Api::chat, R"(data: {"choices":[{"delta":{},"finish_reason":""}]})", false, false, false},
    {"null error", Api::chat, R"(data: {"choices":[],"error":null})", false, false, false},
    {"empty object", Api::chat, R"(data: {})", false, false, false},
    // Chat: content.
    {"text", Api::chat, R"(data: {"choices":[{"delta":{"content":"a"}}]})", true, false, false},
    {"a line feed is text", Api::chat, R"(data: {"choices":[{"delta":{"content":"\n"}}]})", true, false, false},
    {"text of the second choice", Api::chat, R"(data: {"choices":[{"delta":{}},{"delta":{"content":"a"}}]})", true,
     false, false},
    {"text in parts", Api::chat, R"(data: {"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]})", true,
     false, false},
    {"reasoning, DeepSeek", Api::chat, R"(data: {"choices":[{"delta":{"content":null,"reasoning_content":"a"}}]})",
     true, false, false},
    {"reasoning, OpenRouter", Api::chat, R"(data: {"choices":[{"delta":{"content":"","reasoning":"a"}}]})", true, false,
     false},
    {"refusal", Api::chat, R"(data: {"choices":[{"delta":{"refusal":"no"}}]})", true, false, false},
    {"tool call", Api::chat,
     R"(data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}}]})", true,
     false, false},
    {"function call", Api::chat, R"(data: {"choices":[{"delta":{"function_call":{"name":"f"}}}]})", true, false, false},
    {"audio", Api::chat, R"(data: {"choices":[{"delta":{"audio":{"id":"a"}}}]})", true, false, false},
    {"finish reason", Api::chat, R"(data: {"choices":[{"delta":{},"finish_reason":"stop"}]})", true, true, false},
    {"done", Api::chat, "data: [DONE]", false, true, false},
    {"done, without the space", Api::chat, "data:[DONE]", false, true, false},
    {"done, with a space behind", Api::chat, "data: [DONE] ", false, true, false},
    {"legacy text", Api::completions, R"(data: {"choices":[{"text":"a","finish_reason":null}]})", true, false, false},
    {"legacy text, empty", Api::completions, R"(data: {"choices":[{"text":"","finish_reason":null}]})", false, false,
     false},
    {"over two lines", Api::chat, "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"}}]}", true, false, false},
    // Words in the model's text prove nothing.
    {"text that quotes a finish reason", Api::chat,
     R"(data: {"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]})", true, false, false},
    {"text that quotes an error", Api::chat, R"(data: {"choices":[{"delta":{"content":"{\"error\":{\"code\":1}}"}}]})",
     true, false, false},
    {"text that quotes the end", Api::chat, R"(data: {"choices":[{"delta":{"content":"data: [DONE]"}}]})", true, false,
     false},
    {"an id named error", Api::chat, R"(data: {"id":"error","choices":[{"delta":{"role":"error"}}]})", false, false,
     false},
    {"a nested error is the choice's own", Api::chat, R"(data: {"choices":[{"delta":{"error":{"a":1}}}]})", false,
     false, false},
    {"broken JSON", Api::chat, R"(data: {"choices":[{"delta":{"content":"a"}})", false, false, false},
    {"no JSON", Api::chat, "data: Internal Server Error", false, false, false},
    {"an array", Api::chat, R"(data: [{"choices":[]}])", false, false, false},
    // Chat: errors.
    {"error object", Api::chat, R"(data: {"error":{"message":"m","code":503}})", false, false, true},
    {"error string", Api::chat, R"(data: {"error":"Too many requests"})", false, false, true},
    {"error beside a finish reason", Api::chat,
     R"(data: {"choices":[{"delta":{},"finish_reason":"error"}],"error":{"code":502}})", false, true, true},
    {"error by name", Api::chat, "event: error\ndata: {\"message\":\"m\"}", false, false, true,
     R"(data: {"error":{"message":"m","type":"server_error","param":null,"code":null}})"},
    {"error by name, no JSON", Api::chat, "event: error\ndata: oops", false, false, true,
     R"(data: {"error":{"message":"oops","type":"server_error","param":null,"code":null}})"},
    {"flat error, vLLM", Api::chat, R"(data: {"object":"error","message":"m","type":"BadRequestError","code":400})",
     false, false, true, R"(data: {"error":{"message":"m","type":"BadRequestError","param":null,"code":"400"}})"},
    {"flat error, OpenAI", Api::chat, R"(data: {"type":"error","message":"m"})", false, false, true,
     R"(data: {"error":{"message":"m","type":"error","param":null,"code":null}})"},
    {"flat error beside an empty one", Api::completions, R"(data: {"object":"error","message":"m","error":null})",
     false, false, true, R"(data: {"error":{"message":"m","type":"server_error","param":null,"code":null}})"},
    {"named error in its place", Api::chat, "event: error\ndata: {\"error\":{\"code\":1}}", false, false, true},
    // Responses.
    {"created", Api::responses, R"(data: {"type":"response.created","response":{"output":[],"usage":null}})", false,
     false, false},
    {"queued", Api::responses, R"(data: {"type":"response.queued"})", false, false, false},
    {"in progress", Api::responses, R"(data: {"type":"response.in_progress"})", false, false, false},
    {"message item", Api::responses,
     R"(data: {"type":"response.output_item.added","item":{"type":"message","content":[]}})", false, false, false},
    {"reasoning item", Api::responses, R"(data: {"type":"response.output_item.added","item":{"type":"reasoning"}})",
     false, false, false},
    {"call item", Api::responses,
     R"(data: {"type":"response.output_item.added","item":{"id":"x","type":"function_call","name":"f"}})", true, false,
     false},
    {"empty part", Api::responses,
     R"(data: {"type":"response.content_part.added","part":{"type":"output_text","text":""}})", false, false, false},
    {"text delta", Api::responses, R"(data: {"type":"response.output_text.delta","delta":"a"})", true, false, false},
    {"empty delta", Api::responses, R"(data: {"type":"response.output_text.delta","delta":""})", false, false, false},
    {"reasoning delta", Api::responses, R"(data: {"delta":"a","type":"response.reasoning_text.delta"})", true, false,
     false},
    {"summary delta", Api::responses, R"(data: {"type":"response.reasoning_summary_text.delta","delta":"a"})", true,
     false, false},
    {"refusal delta", Api::responses, R"(data: {"type":"response.refusal.delta","delta":"no"})", true, false, false},
    {"arguments delta", Api::responses, R"(data: {"type":"response.function_call_arguments.delta","delta":"{"})", true,
     false, false},
    {"web search", Api::responses, R"(data: {"type":"response.web_search_call.searching"})", true, false, false},
    {"completed", Api::responses, R"(data: {"type":"response.completed","response":{}})", true, true, false},
    {"incomplete", Api::responses, R"(data: {"type":"response.incomplete","response":{}})", true, true, false},
    {"failed", Api::responses, R"(data: {"type":"response.failed","response":{"error":{"code":"server_error"}}})",
     false, true, true},
    {"type from the name", Api::responses, "event: response.completed\ndata: {\"response\":{}}", true, true, false},
    {"flat error", Api::responses, R"(data: {"type":"error","code":"rate_limit_exceeded","message":"m"})", false, false,
     true},
    {"keepalive with a number", Api::responses,
     "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":3}", false, false, false},
    {"text that names the end", Api::responses,
     R"(data: {"type":"response.output_text.delta","delta":"response.completed"})", true, false, false},
    // Messages.
    {"message start", Api::messages,
     R"(data: {"type":"message_start","message":{"content":[],"usage":{"input_tokens":1}}})", false, false, false},
    {"text block", Api::messages, R"(data: {"type":"content_block_start","content_block":{"type":"text","text":""}})",
     false, false, false},
    {"text block with text", Api::messages,
     R"(data: {"type":"content_block_start","content_block":{"type":"text","text":"a"}})", true, false, false},
    {"thinking block", Api::messages,
     R"(data: {"type":"content_block_start","content_block":{"type":"thinking","thinking":""}})", false, false, false},
    {"tool block", Api::messages,
     R"(data: {"type":"content_block_start","content_block":{"type":"tool_use","name":"f","input":{}}})", true, false,
     false},
    {"text delta of a block", Api::messages,
     R"(data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}})", true, false, false},
    {"thinking delta", Api::messages,
     R"(data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"a"}})", true, false, false},
    {"input delta", Api::messages,
     R"(data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}})", true, false,
     false},
    {"empty input delta", Api::messages,
     R"(data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":""}})", false, false,
     false},
    {"block stop", Api::messages, R"(data: {"type":"content_block_stop","index":0})", false, false, false},
    {"stop reason", Api::messages, R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}})", true, false,
     false},
    {"message stop", Api::messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}", true, true, false},
    {"unnamed ping", Api::messages, R"(data: {"type":"ping"})", false, false, false},
    {"overloaded", Api::messages, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
     false, false, true},
    {"overloaded, without its name", Api::messages,
     R"(data: {"type":"error","error":{"type":"overloaded_error","message":"m"}})", false, false, true,
     "event: error\ndata: "
     R"({"type":"error","error":{"type":"overloaded_error","message":"m","code":null},"request_id":null})"},
    {"error of another shape", Api::messages, R"(data: {"error":{"message":"m","code":500}})", false, false, true,
     "event: error\ndata: "
     R"({"type":"error","error":{"type":"api_error","message":"m","code":"500"},"request_id":null})"},
    {"error by name, without a type", Api::messages, "event: error\ndata: {\"error\":{\"message\":\"m\"}}", false,
     false, true,
     "event: error\ndata: "
     R"({"type":"error","error":{"type":"api_error","message":"m","code":null},"request_id":null})"},
    {"error by name, flat", Api::messages, "event: error\ndata: {\"type\":\"error\",\"message\":\"m\"}", false, false,
     true,
     "event: error\ndata: "
     R"({"type":"error","error":{"type":"api_error","message":"m","code":null},"request_id":null})"},
    {"error by name, no JSON", Api::messages, "event: error\ndata: oops", false, false, true,
     "event: error\ndata: "
     R"({"type":"error","error":{"type":"api_error","message":"oops","code":null},"request_id":null})"},
    // Families without a shape of their own.
    {"anything", Api::other, "data: x", true, false, false},
};

TEST(StreamFacts, SayWhatOneEventCarries) {
  for (const FactsCase& c : streams) {
    SCOPED_TRACE(c.name);
    const std::string bytes = std::string(c.event) + "\n\n";
    const Observed seen = run_filter({c.api}, bytes, {}, Ending::clean);
    EXPECT_EQ(seen.output, c.instead ? std::string(c.instead) + "\n\n" : bytes);
    EXPECT_EQ(seen.events, 1u);
    EXPECT_EQ(seen.content, c.content);
    EXPECT_EQ(seen.contents, c.content ? 1u : 0u);
    EXPECT_EQ(seen.terminal, c.terminal);
    EXPECT_EQ(!seen.error.empty(), c.error);
  }
}

TEST(StreamFacts, AreTheSameForAnEventThatFollowsContent) {
  const std::string before = "data: {\"choices\":[{\"delta\":{\"content\":\"before\"}}]}\n\n";
  for (const FactsCase& c : streams) {
    if (c.api != Api::chat) continue;
    SCOPED_TRACE(c.name);
    const Observed seen = run_filter({c.api}, before + before + c.event + "\n\n", {}, Ending::clean);
    EXPECT_EQ(seen.contents, c.content ? 3u : 2u);
    EXPECT_EQ(seen.terminal, c.terminal);
    EXPECT_EQ(!seen.error.empty(), c.error);
  }
}

// Three answers to one question: the first that is through is not the end of the others.
TEST(StreamFacts, TheLastWordIsThatOfEveryChoice) {
  const auto finish = [](int choice) {
    return R"(data: {"choices":[{"index":)" + std::to_string(choice) + R"(,"delta":{},"finish_reason":"stop"}]})" +
           "\n\n";
  };
  FilterOptions options;
  options.choices = 3;
  EXPECT_FALSE(run_filter(options, finish(1) + finish(0), {}, Ending::cut).terminal);
  EXPECT_TRUE(run_filter(options, finish(1) + finish(0) + finish(2), {}, Ending::cut).terminal);
  EXPECT_TRUE(run_filter(options, finish(1) + "data: [DONE]\n\n", {}, Ending::cut).terminal);
  options.choices = 0;  // nobody has counted the prompts
  EXPECT_FALSE(run_filter(options, finish(0) + finish(1), {}, Ending::cut).terminal);
  EXPECT_TRUE(run_filter(options, finish(0) + "data: [DONE]\n\n", {}, Ending::cut).terminal);
}

TEST(StreamFacts, EndWithTheLastWordThoughHalfAnEventFollows) {
  const auto relayed = [](Api api, const std::string& bytes) {
    return run_filter({api}, bytes, {}, Ending::clean).output;
  };
  const std::string done = "data: [DONE]\n\n";
  EXPECT_EQ(relayed(Api::chat, done + "data: {\"id\":"), done);
  const std::string stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  EXPECT_EQ(relayed(Api::messages, stop + "data: {}\n"), stop);
  const std::string over = "data: {\"type\":\"response.completed\",\"response\":{}}\n\n";
  EXPECT_EQ(relayed(Api::responses, over + "event: x"), over);
  const std::string finish = R"(data: {"choices":[{"delta":{},"finish_reason":"stop"}]})";
  EXPECT_EQ(relayed(Api::chat, finish + "\n\ndata: [DONE]"), finish + "\n\n" + done) << "usage or the end may follow";
}

TEST(StreamFacts, KeepTheDataOfTheFirstError) {
  const std::string bytes =
      "data: {\"error\":{\"code\":1}}\n\nevent: error\ndata: {\"error\":\ndata: {\"code\":2}}\n\n";
  EXPECT_EQ(run_filter({}, bytes, {}, Ending::clean).error, "{\"error\":{\"code\":1}}");
  EXPECT_EQ(run_filter({}, bytes.substr(bytes.find("event")), {}, Ending::clean).error, "{\"error\":\n{\"code\":2}}");
}

TEST(StreamFacts, OfAnEventAboveTheLimitAreContentAndItsName) {
  const std::string large(200, 'x');
  FilterOptions options{Api::responses, HideUsage::nothing, 100};
  const std::string end =
      "event: response.completed\ndata: {\"type\":\"response.completed\",\"x\":\"" + large + "\"}\n\n";
  Observed seen = run_filter(options, end, {}, Ending::clean);
  EXPECT_EQ(seen.output, end);
  EXPECT_TRUE(seen.content);
  EXPECT_TRUE(seen.terminal);
  EXPECT_FALSE(seen.mid_event);
  seen = run_filter(options, "event: x\ndata: " + large, {}, Ending::cut);
  EXPECT_EQ(seen.output, "event: x\ndata: " + large);
  EXPECT_TRUE(seen.mid_event);
  EXPECT_FALSE(seen.terminal);
}

TEST(StreamFacts, AnEventAboveTheLimitMayBeTheLastWordUntilAnotherFollows) {
  const std::string large = "data: {\"choices\":[{\"delta\":{\"content\":\"" + std::string(200, 'x') + "\"}}]}\n\n";
  const std::string usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
  StreamFilter filter({Api::chat, HideUsage::nothing, 100});
  std::vector<std::string_view> out;
  filter.feed(large, out);
  EXPECT_TRUE(filter.finish_seen());
  filter.feed(": keep-alive\n\n" + usage, out);
  EXPECT_TRUE(filter.finish_seen());
  filter.feed("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", out);
  EXPECT_FALSE(filter.finish_seen());
}

TEST(StreamFacts, CountWhatIsAbsorbed) {
  const Observed seen = run_filter({}, ": a\n\n: b\n\nevent: ping\n\ndata: : c\n\ndata: 1\n\n", {}, Ending::clean);
  EXPECT_EQ(seen.keepalives, 4u);
  EXPECT_EQ(seen.events, 1u);
}

}  // namespace
}  // namespace weir::protocol
