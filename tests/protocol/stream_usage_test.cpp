// Usage: read from streams and from whole answers in every dialect, and hidden where the client did not ask for it.
#include <gtest/gtest.h>

#include "protocol/filter_support.hpp"

namespace weir::protocol {
namespace {

std::string numbers(const std::optional<Usage>& usage) {
  if (!usage) return "none";
  const auto text = [](const std::optional<std::uint64_t>& field) { return field ? std::to_string(*field) : "-"; };
  return text(usage->input) + " " + text(usage->cached) + " " + text(usage->output) + " " + text(usage->reasoning);
}

std::optional<Usage> usage_of_stream(Api api, const std::string& bytes) {
  StreamFilter filter({api});
  std::vector<std::string_view> out;
  filter.feed(bytes, out);
  return filter.usage();
}

struct UsageCase {
  const char* name;
  Api api;
  const char* text;
  const char* expected;  // input, cached, output, reasoning
};

TEST(StreamUsage, IsReadInEveryDialect) {
  const UsageCase cases[] = {
      {"OpenAI", Api::chat,
       R"(data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,)"
       R"("prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":7}}})",
       "9 4 12 7"},
      {"DeepSeek", Api::chat,
       R"(data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,)"
       R"("prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":1}})",
       "9 8 1 -"},
      {"Moonshot", Api::chat,
       R"(data: {"choices":[{"delta":{},"usage":{"prompt_tokens":2,"completion_tokens":3,"cached_tokens":1}}]})",
       "2 1 3 -"},
      {"running usage: the last wins", Api::chat,
       "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"
       "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}",
       "5 - 2 -"},
      {"a null usage does not take it back", Api::chat,
       "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\ndata: {\"choices\":[],\"usage\":null}", "5 - - -"},
      {"odd numbers", Api::chat,
       R"(data: {"choices":[],"usage":{"prompt_tokens":5.0,"completion_tokens":-1,"cached_tokens":"7"}})", "5 - - -"},
      {"nothing in it", Api::chat, R"(data: {"choices":[],"usage":{}})", "none"},
      {"in the text", Api::chat, R"(data: {"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":1}"}}]})",
       "none"},
      {"deeper than it belongs", Api::chat, R"(data: {"x":{"usage":{"prompt_tokens":1}},"choices":[]})", "none"},
      {"responses", Api::responses,
       R"(data: {"type":"response.completed","response":{"usage":{"input_tokens":5,"input_tokens_details":)"
       R"({"cached_tokens":2},"output_tokens":6,"output_tokens_details":{"reasoning_tokens":3}}}})",
       "5 2 6 3"},
      {"responses, before the end", Api::responses,
       R"(data: {"type":"response.in_progress","response":{"usage":{"input_tokens":5}}})", "none"},
      {"responses, failed", Api::responses,
       R"(data: {"type":"response.failed","response":{"usage":{"input_tokens":5}}})", "5 - - -"},
      {"messages, in parts", Api::messages,
       "data: "
       "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":20,"
       "\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\n"
       "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\n"
       "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":42}}",
       "123 100 42 -"},
      {"messages, corrected at the end", Api::messages,
       "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n"
       "data: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"input_tokens\":8,\"output_tokens\":4}}",
       "8 - 4 -"},
  };
  for (const UsageCase& c : cases) {
    EXPECT_EQ(numbers(usage_of_stream(c.api, std::string(c.text) + "\n\n")), c.expected) << c.name;
  }
}

TEST(AnswerUsage, IsReadInEveryDialect) {
  const UsageCase cases[] = {
      {"chat", Api::chat,
       R"({"id":"x","choices":[{"message":{"content":"usage"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}})",
       "1 - 2 -"},
      {"blank lines first", Api::chat, "\n\n \n{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}", "1 - 2 -"},
      {"embeddings", Api::embeddings,
       R"({"data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":4,"total_tokens":4}})", "4 - - -"},
      {"responses", Api::responses,
       R"({"usage":{"input_tokens":5,"output_tokens":6,"output_tokens_details":{"reasoning_tokens":1}}})", "5 - 6 1"},
      {"messages", Api::messages,
       R"({"type":"message","usage":{"input_tokens":1,"cache_read_input_tokens":9,"output_tokens":2}})", "10 9 2 -"},
      {"null", Api::chat, R"({"usage":null})", "none"},
      {"no usage", Api::chat, R"({"choices":[]})", "none"},
      {"error", Api::chat, R"({"error":{"usage":{"prompt_tokens":1}}})", "none"},
      {"array", Api::chat, R"([{"usage":{"prompt_tokens":1}}])", "none"},
      {"no JSON", Api::chat, "<html>", "none"},
      {"nothing", Api::chat, "", "none"},
  };
  for (const UsageCase& c : cases) EXPECT_EQ(numbers(usage_of_answer(c.text, c.api)), c.expected) << c.name;
}

TEST(HiddenUsage, LeavesTheRestOfEachChunkAsItWas) {
  struct Rewrite {
    const char* in;
    const char* out;
  };
  const Rewrite rewrites[] = {
      {R"({"choices":[{"delta":{}}],"usage":null})", R"({"choices":[{"delta":{}}]})"},
      {R"({"usage":null,"choices":[]})", R"({"choices":[]})"},
      {R"({"id":1,"usage":null,"choices":[]})", R"({"id":1,"choices":[]})"},
      {R"({"usage":null})", R"({})"},
      {R"({ "id":1 , "usage" : null , "choices":[] })", R"({ "id":1  , "choices":[] })"},
      {R"({ "usage" : null , "choices":[] })", R"({ "choices":[] })"},
      {R"({"usage":null,"usage":null,"choices":[]})", R"({"choices":[]})"},
      {R"({"a":1,"usage":null,"usage":null})", R"({"a":1})"},
      {R"({"usage":null,"a":1,"usage":null})", R"({"a":1})"},
      {R"({"choices":[{"delta":{"content":"\"usage\":null"}}]})",
       R"({"choices":[{"delta":{"content":"\"usage\":null"}}]})"},
      {R"({"x":{"usage":null},"choices":[]})", R"({"x":{"usage":null},"choices":[]})"},
      {R"({"choices":[{"delta":{},"usage":null}]})", R"({"choices":[{"delta":{},"usage":null}]})"},
      {R"({"choices":[{"delta":{}}],"usage":{"prompt_tokens":1,"d":{"e":[2]}} ,"z":1})",
       R"({"choices":[{"delta":{}}] ,"z":1})"},
      {R"({"choices":[{"delta":{}}],"usage":7})", R"({"choices":[{"delta":{}}],"usage":7})"},
      {R"({"usage":nul,"choices":[]})", R"({"usage":nul,"choices":[]})"},
      {R"({"usage":nullx,"choices":[]})", R"({"usage":nullx,"choices":[]})"},
      {R"({"choices":[],"usage":null)", R"({"choices":[],"usage":null)"},
  };
  for (const Rewrite& rewrite : rewrites) {
    const auto run = [](const std::string& bytes) {
      return run_filter({Api::chat, HideUsage::all}, bytes, {}, Ending::clean).output;
    };
    EXPECT_EQ(run(std::string("data: ") + rewrite.in + "\n\n"), std::string("data: ") + rewrite.out + "\n\n");
    EXPECT_EQ(run(std::string("id: 1\ndata:") + rewrite.in + "\nx: y\n\n"),
              std::string("id: 1\ndata:") + rewrite.out + "\nx: y\n\n");
  }
}

TEST(HiddenUsage, KeepsTheLinesOfAMultiLineEvent) {
  const std::string in = "data: {\"choices\":[],\nid: 1\ndata: \"usage\":\ndata:null\ndata: , \"a\":1}\n\n";
  const Observed seen = run_filter({Api::chat, HideUsage::all}, in, {}, Ending::clean);
  EXPECT_EQ(seen.output, "data: {\"choices\":[]\nid: 1\ndata: \ndata:\ndata: , \"a\":1}\n\n");
}

TEST(HiddenUsage, DropsTheChunkThatCarriesNothingElse) {
  const std::string chunk = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n";
  const Observed hidden = run_filter({Api::chat, HideUsage::all}, chunk + "data: [DONE]\n\n", {}, Ending::clean);
  EXPECT_EQ(hidden.output, "data: [DONE]\n\n");
  EXPECT_EQ(hidden.input, 5u);
  EXPECT_EQ(hidden.out_tokens, 6u);
  EXPECT_EQ(hidden.events, 1u);
  EXPECT_EQ(run_filter({Api::chat, HideUsage::nothing}, chunk, {}, Ending::clean).output, chunk);
}

TEST(HiddenUsage, KeepsAnErrorThatComesWithUsage) {
  const Observed seen = run_filter({Api::chat, HideUsage::all},
                                   "data: {\"choices\":[],\"error\":{\"code\":1},\"usage\":{\"prompt_tokens\":5}}\n\n",
                                   {}, Ending::clean);
  EXPECT_EQ(seen.output, "data: {\"choices\":[],\"error\":{\"code\":1}}\n\n");
  EXPECT_FALSE(seen.error.empty());
}

// What a provider that tells running usage sends, and what is left of it for each way a client can ask.
struct AskedFor {
  HideUsage hide;
  const char* chunk;
  const char* last;
};

TEST(HiddenUsage, LeavesEachClientWhatItAskedFor) {
  const std::string chunk =
      R"({"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"d":{"e":[2]}} ,"z":1})";
  const std::string last = R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}})";
  const AskedFor cases[] = {
      {HideUsage::nothing, chunk.c_str(), last.c_str()},
      {HideUsage::all, R"({"choices":[{"delta":{"content":"a"}}] ,"z":1})", nullptr},
      {HideUsage::running, R"({"choices":[{"delta":{"content":"a"}}],"usage":null ,"z":1})", last.c_str()},
      {HideUsage::total, chunk.c_str(), nullptr},
  };
  const auto event = [](const std::string& data) { return "data: " + data + "\n\n"; };
  for (const AskedFor& asked : cases) {
    const Observed seen = run_filter({Api::chat, asked.hide}, event(chunk) + event(last), {}, Ending::clean);
    EXPECT_EQ(seen.output, event(asked.chunk) + (asked.last ? event(asked.last) : ""));
    EXPECT_EQ(seen.out_tokens, 6u) << "weir reads what it hides";
  }
}

TEST(HiddenUsage, BecomesNullWithoutTouchingTheLinesOfAnEvent) {
  const std::string in =
      "data: {\"choices\":[{}],\nid: 1\ndata: \"usage\":\ndata:{\"prompt_tokens\":\ndata: 5}\ndata: , \"a\":1}\n\n";
  const Observed seen = run_filter({Api::chat, HideUsage::running}, in, {}, Ending::clean);
  EXPECT_EQ(seen.output, "data: {\"choices\":[{}],\nid: 1\ndata: \"usage\":\ndata:null\ndata: \ndata: , \"a\":1}\n\n");
  EXPECT_EQ(seen.input, 5u);
}

}  // namespace
}  // namespace weir::protocol
