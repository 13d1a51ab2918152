// What a request's members mean to weir, and which are refused.
#include <gtest/gtest.h>

#include "protocol/request_support.hpp"

namespace weir::protocol {
namespace {

struct MembersCase {
  Api api;
  const char* body;
  const char* outcome;
};

TEST(RequestMembers, OfAWrongTypeAreRefusedByName) {
  const MembersCase cases[] = {
      {Api::chat, R"({"model":1})", "parameter model@9"},
      {Api::chat, R"({"model":null})", "parameter model@9"},
      {Api::chat, R"({"model":["a"]})", "parameter model@9"},
      {Api::chat, R"({"stream":1})", "parameter stream@10"},
      {Api::chat, R"({"stream":"true"})", "parameter stream@10"},
      {Api::chat, R"({"stream":null})", "valid"},
      {Api::chat, R"({"messages":{}})", "parameter messages@12"},
      {Api::chat, R"({"messages":null})", "parameter messages@12"},
      {Api::chat, R"({"messages":"hi"})", "parameter messages@12"},
      {Api::chat, R"({"messages":[]})", "valid"},
      {Api::chat, R"({"messages":[{},{},"x",1]})", "parameter messages[2]@19"},
      {Api::chat, R"({"messages":[[]]})", "parameter messages[0]@13"},
      {Api::messages, R"({"messages":[1]})", "parameter messages[0]@13"},
      {Api::responses, R"({"messages":1})", "valid"},
      {Api::chat, R"({"max_tokens":-1})", "parameter max_tokens@14"},
      {Api::chat, R"({"max_tokens":1.5})", "parameter max_tokens@14"},
      {Api::chat, R"({"max_tokens":"1"})", "parameter max_tokens@14"},
      {Api::chat, R"({"max_tokens":1e99})", "parameter max_tokens@14"},
      {Api::chat, R"({"max_tokens":99999999999999999999})", "parameter max_tokens@14"},
      {Api::chat, R"({"max_completion_tokens":true})", "parameter max_completion_tokens@25"},
      {Api::messages, R"({"max_tokens":[]})", "parameter max_tokens@14"},
      {Api::responses, R"({"max_output_tokens":{}})", "parameter max_output_tokens@21"},
      {Api::embeddings, R"({"max_tokens":"ignored"})", "valid"},
      {Api::chat, R"({"n":0})", "parameter n@5"},
      {Api::chat, R"({"n":null})", "valid"},
      {Api::chat, R"({"n":-3})", "parameter n@5"},
      {Api::completions, R"({"best_of":0})", "parameter best_of@11"},
      {Api::chat, R"({"best_of":0})", "valid"},
      {Api::chat, R"({"stream_options":[]})", "parameter stream_options@18"},
      {Api::chat, R"({"stream_options":null})", "valid"},
      {Api::chat, R"({"stream_options":{ "include_usage" : 1}})", "parameter stream_options.include_usage@38"},
      {Api::embeddings, R"({"input":{}})", "parameter input@9"},
      {Api::embeddings, R"({"input":null})", "parameter input@9"},
      {Api::embeddings, R"({"input":[[1,2],[3]]})", "valid"},
      {Api::responses, R"({"input":{}})", "parameter input@9"},
      {Api::responses, R"({"input":null,"prompt":{"id":"p"}})", "valid"},
      {Api::completions, R"({"prompt":{}})", "parameter prompt@10"},
      {Api::completions, R"({"prompt":5})", "parameter prompt@10"},
      {Api::completions, R"({"prompt":["a"]})", "valid"},
      {Api::other, R"({"model":{},"n":"x"})", "parameter model@9"},
  };
  for (const MembersCase& c : cases) EXPECT_EQ(outcome_of(c.body, c.api), c.outcome) << c.body;
}

// Lenient readers (Go's encoding/json) take the last of them, weir the one it knows.
TEST(RequestMembers, OfAnotherCaseStandForNoneOfThoseRead) {
  EXPECT_EQ(outcome_of(R"({"model":"a","Model":"b"})"), "duplicate Model@13");
  EXPECT_EQ(outcome_of(R"({"MODEL":"b","model":"a"})"), "duplicate model@13");
  EXPECT_EQ(outcome_of(R"({"model":"a","\u004dodel":"b"})"), "duplicate Model@13");
  EXPECT_EQ(outcome_of(R"({"model":"a","max_token\u017f":1,"max_tokens":2})"), "duplicate max_tokens@33");
  EXPECT_EQ(outcome_of("{\"model\":\"a\",\"max_to\xe2\x84\xaa"
                       "ens\":1,\"max_tokens\":2}"),
            "duplicate max_tokens@30");
  EXPECT_EQ(outcome_of(R"({"model":"a","Tools":[],"tools":[]})"), "duplicate tools@24");
  EXPECT_EQ(outcome_of(R"({"model":"a","Max_Tokens":1})"), "parameter Max_Tokens@13");
  EXPECT_EQ(outcome_of(R"({"Model":"a"})"), "parameter Model@1");
  EXPECT_EQ(outcome_of(R"({"model":"a","topK":1,"enableThinking":true,"\u00e9":1})"), "valid");
}

TEST(RequestMembers, ThatStandTwiceAreRefusedHoweverTheyAreWritten) {
  EXPECT_EQ(outcome_of(R"({"model":"a","model":"a"})"), "duplicate model@13");
  EXPECT_EQ(outcome_of(R"({"model":"a","mod\u0065l":"b"})"), "duplicate model@13");
  EXPECT_EQ(outcome_of(R"({"x\/y":1,"z":2,"x/y":3})"), "duplicate x/y@16");
  EXPECT_EQ(outcome_of(R"({"\ud83d\ude00":1,"😀":3})"), "duplicate 😀@18");
  EXPECT_EQ(outcome_of(R"({"\ud800":1,"\ud801":2,"\ufffd":3})"), "valid");
  EXPECT_EQ(outcome_of(R"({"Model":"a","model":"a"})"), "duplicate model@13") << "as some upstreams read it";
  EXPECT_EQ(outcome_of(R"({"b":1,"a":1,"a":2,"b":2})"), "duplicate a@13");
  EXPECT_EQ(outcome_of(R"({"model":1,"model":01})"), "json @19") << "the syntax comes first";
}

TEST(RequestMembers, AreLimitedInNumber) {
  std::string body = "{\"m0\":0";
  for (int i = 1; i < 1024; ++i) body += ",\"m" + std::to_string(i) + "\":[" + std::to_string(i) + "]";
  EXPECT_EQ(outcome_of(body + "}"), "valid");
  EXPECT_EQ(outcome_of(body + ",\"x\":1}"), "parameter @" + std::to_string(body.size() + 1));
}

TEST(RequestMembers, GiveTheFactsOfAChat) {
  const RequestView view =
      view_of(R"({"mod\u0065l":"a\/b","stream":true,"stream_options":{"x":1,"include_usage":true},"max_tokens":512.0,)"
              R"("max_completion_tokens":1e3,"n":3,"user":"u","safety_identifier":"s","messages":[]})");
  EXPECT_EQ(view.model, "a/b");
  EXPECT_TRUE(view.stream);
  EXPECT_TRUE(view.asks_usage);
  EXPECT_EQ(view.max_tokens, 512u);
  EXPECT_EQ(view.max_completion_tokens, 1000u);
  EXPECT_EQ(view.n, 3u);
  EXPECT_EQ(view.user, "s");
  EXPECT_FALSE(view.has_side_effects);
  EXPECT_EQ(view.members.size(), 9u);
  ASSERT_NE(view.find("model"), nullptr);
  EXPECT_EQ(view.find("modell"), nullptr);
}

TEST(RequestMembers, TellWhetherRunningUsageIsAskedFor) {
  const auto asks = [](const std::string& options) {
    return view_of(R"({"stream":true,"stream_options":)" + options + "}").asks_running_usage;
  };
  EXPECT_TRUE(asks(R"({"chunk_include_usage":true})"));
  EXPECT_TRUE(asks(R"({"include_usage":true,"continuous_usage_stats":true})"));
  EXPECT_FALSE(asks(R"({"include_usage":true,"chunk_include_usage":false})"));
  EXPECT_FALSE(asks(R"({"x":{"chunk_include_usage":true}})"));
}

TEST(RequestMembers, OfABareBodyAreTheDefaults) {
  const RequestView view = view_of("{}");
  EXPECT_EQ(view.model, "");
  EXPECT_FALSE(view.stream);
  EXPECT_FALSE(view.asks_usage);
  EXPECT_EQ(view.max_tokens, std::nullopt);
  EXPECT_EQ(view.n, 1u);
  EXPECT_EQ(view.best_of, 1u);
}

// With n choices for each of them.
TEST(RequestMembers, TellAListOfPromptsFromOne) {
  const auto many = [](const std::string& prompt) {
    return view_of(R"({"prompt":)" + prompt + "}", Api::completions).many_prompts;
  };
  EXPECT_TRUE(many(R"([ "a","b"])"));
  EXPECT_TRUE(many("[[1,2],[3]]"));
  EXPECT_FALSE(many("[1,2]"));
  EXPECT_FALSE(many("[]"));
  EXPECT_FALSE(many(R"("a")"));
}

TEST(RequestMembers, NameTheUserInEachShape) {
  EXPECT_EQ(view_of(R"({"user":"u"})").user, "u");
  EXPECT_EQ(view_of(R"({"safety_identifier":"s","user":"u"})").user, "s");
  EXPECT_EQ(view_of(R"({"user":7})").user, "");
  EXPECT_EQ(view_of(R"({"metadata":{"a":"b","user_id":"m"}})", Api::messages).user, "m");
  EXPECT_EQ(view_of(R"({"metadata":{"user_id":"m"}})", Api::chat).user, "");
}

TEST(RequestMembers, TellWhichResponsesCallsLeaveTraces) {
  const auto leaves = [](const char* body) { return view_of(body, Api::responses).has_side_effects; };
  EXPECT_TRUE(leaves("{}")) << "the API stores unless told otherwise";
  EXPECT_TRUE(leaves(R"({"store":true})"));
  EXPECT_TRUE(leaves(R"({"store":null})"));
  EXPECT_FALSE(leaves(R"({"store":false})"));
  EXPECT_TRUE(leaves(R"({"store":false,"background":true})"));
  EXPECT_TRUE(leaves(R"({"store":false,"conversation":"c"})"));
  EXPECT_FALSE(leaves(R"({"store":false,"conversation":null,"background":false})"));
  EXPECT_EQ(view_of(R"({"previous_response_id":"resp_1"})", Api::responses).previous_response_id, "resp_1");
}

TEST(RequestMembers, TellTextFromEverythingElse) {
  struct Part {
    Api api;
    const char* body;
    bool non_text;
  };
  const Part parts[] = {
      {Api::chat, R"({"messages":[{"role":"user","content":"image_url"}]})", false},
      {Api::chat, R"({"messages":[{"content":[{"type":"text","text":"a"}]}]})", false},
      {Api::chat, R"({"messages":[{"content":[{"type":"text"},{"type":"image_url","image_url":{"url":"x"}}]}]})", true},
      {Api::chat, R"({"messages":[{"content":[{"t\u0079pe":"imag\u0065_url"}]}]})", true},
      {Api::chat, R"({"messages":[{"c\u006fntent":[{"type":"input_audio"}]}]})", true},
      {Api::chat, R"({"messages":[{"content":[{"type":"file"}]}]})", true},
      {Api::chat, R"({"messages":[{"content":[{"type":"video_url"}]}]})", true},
      {Api::chat, R"({"messages":[],"tools":[{"type":"image","content":[{"type":"image"}]}]})", false},
      {Api::chat, R"({"messages":[{"tool_calls":[{"type":"function","x":{"type":"image"}}]}]})", false},
      {Api::messages, R"({"messages":[{"content":[{"type":"image","source":{}}]}]})", true},
      {Api::messages, R"({"messages":[{"content":[{"type":"document"}]}]})", true},
      {Api::messages, R"({"messages":[{"content":[{"type":"tool_result","content":[{"type":"image"}]}]}]})", true},
      {Api::messages, R"({"messages":[{"content":[{"type":"tool_use","input":{"type":"image"}}]}]})", false},
      {Api::messages, R"({"messages":[{"content":[{"type":"thinking"},{"type":"refusal"}]}]})", false},
      {Api::responses, R"({"input":[{"role":"user","content":[{"type":"input_text"},{"type":"input_image"}]}]})", true},
      {Api::responses, R"({"input":[{"type":"function_call_output","output":[{"type":"input_file"}]}]})", true},
      {Api::responses, R"({"input":[{"type":"message","content":"a"}]})", false},
      {Api::responses, R"({"input":"image"})", false},
  };
  for (const Part& part : parts) EXPECT_EQ(view_of(part.body, part.api).has_non_text_input, part.non_text) << part.body;
}

}  // namespace
}  // namespace weir::protocol
