// What provider rules make of a body: the bytes that go upstream, the names to report, the refusals.
#include "proxy/parameter_rules.hpp"

#include <gtest/gtest.h>

#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

using protocol::HideUsage;
using Action = ParameterAction;
using protocol::Api;

class ParameterRules : public ::testing::Test {
 protected:
  // The body as sent, then what is reported; or the refusal.
  std::string of(const std::string& text, Api api = Api::chat) {
    std::string padded = text + std::string(protocol::RequestReader::padding, ' ');
    protocol::RequestReader reader;
    auto read = reader.read(std::string_view(padded).substr(0, text.size()), api, {});
    const auto* view = std::get_if<protocol::RequestView>(&read);
    if (!view) return "unreadable";
    Destination destination;
    destination.upstream = &upstream;
    destination.model = model;
    destination.profile = &profile;
    auto result = prepare_body(std::string_view(padded).substr(0, text.size()), *view, destination, ask);
    if (const auto* refusal = std::get_if<Refusal>(&result)) {
      return std::to_string(refusal->status) + " " + std::string(refusal->code) + " " + refusal->param;
    }
    auto& prepared = std::get<PreparedBody>(result);
    added = prepared.added;
    hide = prepared.hide;
    ignored = prepared.ignored;
    std::string sent;
    for (const auto piece : protocol::apply_splices(std::string_view(padded).substr(0, text.size()), prepared.splices))
      sent += piece;
    return sent;
  }
  Upstream upstream = test::upstream_at(1);
  ModelProfile profile;
  std::string model;
  AskUsage added = AskUsage::nothing;
  HideUsage hide = HideUsage::nothing;
  AskUsage ask = AskUsage::running;
  std::string ignored;
};

TEST_F(ParameterRules, WithoutAnyTheBodyIsUntouched) {
  const std::string body = "{ \"model\":\"m\" ,\"x\" : [1, 2.50 ]}\n";
  EXPECT_EQ(of(body), body);
  EXPECT_EQ(added, AskUsage::nothing);
}

TEST_F(ParameterRules, ForwardAndIgnoreSendWhatCame) {
  profile.parameters = {{"temperature", Action::ignore},
                        {"top_p", Action::ignore},
                        {"seed", Action::forward},
                        {"absent", Action::ignore}};
  const std::string body = R"({"top_p":1,"model":"m","temperature":0.5,"seed":1})";
  EXPECT_EQ(of(body), body);
  EXPECT_EQ(ignored, "temperature, top_p");
}

TEST_F(ParameterRules, DropLeavesValidJson) {
  profile.parameters = {{"a", Action::drop}, {"b", Action::drop}};
  EXPECT_EQ(of(R"({"a":1,"model":"m","b":[{"x":1}]})"), R"({"model":"m"})");
  EXPECT_EQ(of(R"({"model":"m","a":1,"b":2,"c":3})"), R"({"model":"m","c":3})");
}

TEST_F(ParameterRules, RejectNamesTheParameter) {
  profile.parameters = {{"logprobs", Action::reject}};
  EXPECT_EQ(of(R"({"model":"m","logprobs":true})"), "400 unsupported_parameter logprobs");
  EXPECT_EQ(of(R"({"model":"m","x":{"logprobs":true}})"), R"({"model":"m","x":{"logprobs":true}})");
}

TEST_F(ParameterRules, ADisguisedNameIsTheSameName) {
  profile.parameters = {{"logprobs", Action::reject}};
  EXPECT_EQ(of(R"({"model":"m","l\u006fgprobs":true})"), "400 unsupported_parameter logprobs");
}

TEST_F(ParameterRules, TextOnlyModelsTakeNoImages) {
  profile.text_only = true;
  EXPECT_EQ(
      of(R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]})"),
      "400 unsupported_parameter messages");
  const std::string text =
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"image_url"}]}]})";
  EXPECT_EQ(of(text), text);
}

TEST_F(ParameterRules, AnAliasReplacesTheModelOnly) {
  model = "real \"name\"";
  EXPECT_EQ(of(R"({ "model" : "m" , "x":"m"})"), R"({ "model" : "real \"name\"" , "x":"m"})");
  model = "m";
  EXPECT_EQ(of(R"({ "model" : "m" })"), R"({ "model" : "m" })");
}

TEST_F(ParameterRules, UsageIsAskedForInStreamsThatCanTellIt) {
  EXPECT_EQ(of(R"({"model":"m","stream":true})"),
            R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
  EXPECT_EQ(added, AskUsage::total);
  of(R"({"model":"m","stream":true,"prompt":"x"})", Api::completions);
  EXPECT_EQ(added, AskUsage::total);
  for (const Api api : {Api::responses, Api::messages}) {
    const std::string body = R"({"model":"m","stream":true,"max_tokens":1})";
    EXPECT_EQ(of(body, api), body);
    EXPECT_EQ(added, AskUsage::nothing);
  }
  const std::string asked = R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})";
  EXPECT_EQ(of(asked), asked);
  EXPECT_EQ(added, AskUsage::nothing);
  ask = AskUsage::nothing;
  EXPECT_EQ(of(R"({"model":"m","stream":true})"), R"({"model":"m","stream":true})");
  EXPECT_EQ(added, AskUsage::nothing);
  ask = AskUsage::running;
  upstream.asks_usage = false;
  EXPECT_EQ(of(R"({"model":"m","stream":true})"), R"({"model":"m","stream":true})");
  EXPECT_EQ(added, AskUsage::nothing);
}

TEST_F(ParameterRules, RunningUsageIsAskedForWhereItIsOfferedAndHiddenFromWhoDidNotAsk) {
  upstream.running_usage = "chunk_include_usage";
  const auto asking = [](const std::string& options) {
    return R"({"model":"m","stream":true,"stream_options":)" + options + "}";
  };
  struct Case {
    const char* options;
    const char* sent;
    AskUsage added;
    HideUsage hide;
  };
  const Case cases[] = {
      {"{}", R"({"include_usage":true,"chunk_include_usage":true})", AskUsage::running, HideUsage::all},
      {R"({"include_usage":true})", R"({"chunk_include_usage":true,"include_usage":true})", AskUsage::running,
       HideUsage::running},
      {R"({"chunk_include_usage":true})", R"({"include_usage":true,"chunk_include_usage":true})", AskUsage::total,
       HideUsage::total},
      {R"({"include_usage":true,"chunk_include_usage":true})", R"({"include_usage":true,"chunk_include_usage":true})",
       AskUsage::nothing, HideUsage::nothing}};
  for (const Case& c : cases) {
    EXPECT_EQ(of(asking(c.options)), asking(c.sent));
    EXPECT_EQ(added, c.added) << c.options;
    EXPECT_EQ(hide, c.hide) << c.options;
  }
  ask = AskUsage::total;
  EXPECT_EQ(of(asking("{}")), asking(R"({"include_usage":true})"));
  EXPECT_EQ(hide, HideUsage::all);
}

TEST_F(ParameterRules, UsageIsNotAskedForWhereItsOptionIsDropped) {
  profile.parameters = {{"stream_options", Action::drop}};
  EXPECT_EQ(of(R"({"model":"m","stream":true,"stream_options":{"include_usage":false}})"),
            R"({"model":"m","stream":true})");
  EXPECT_EQ(added, AskUsage::nothing);
}

TEST_F(ParameterRules, UsageIsNotAskedForWhereItsOptionIsDroppedOrRejectedThoughTheCallerIsSilent) {
  const std::string silent = R"({"model":"m","stream":true})";
  for (const Action action : {Action::drop, Action::reject}) {
    profile.parameters = {{"stream_options", action}};
    EXPECT_EQ(of(silent), silent);
    EXPECT_EQ(added, AskUsage::nothing);
    EXPECT_EQ(hide, HideUsage::nothing);
  }
  for (const Action action : {Action::forward, Action::ignore}) {
    profile.parameters = {{"stream_options", action}};
    EXPECT_EQ(of(silent), R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
    EXPECT_EQ(added, AskUsage::total);
  }
}

TEST_F(ParameterRules, UsageIsNotAskedForOfABodyThatNoLongerStreams) {
  profile.parameters = {{"stream", Action::drop}};
  EXPECT_EQ(of(R"({"model":"m","stream":true})"), R"({"model":"m"})");
  EXPECT_EQ(added, AskUsage::nothing);
  profile.parameters = {{"stream", Action::ignore}};
  of(R"({"model":"m","stream":true})");
  EXPECT_EQ(added, AskUsage::total);
}

TEST_F(ParameterRules, AllAtOnceStayValidJson) {
  model = "real";
  profile.parameters = {{"a", Action::drop}, {"z", Action::drop}, {"t", Action::ignore}};
  EXPECT_EQ(of(R"({"a":1,"model":"m","t":0,"stream":true,"stream_options":{"include_usage":false,"x":1},"z":{}})"),
            R"({"model":"real","t":0,"stream":true,"stream_options":{"include_usage":true,"x":1}})");
  EXPECT_EQ(of(R"({"a":1,"stream":true,"model":"m","z":{}})"),
            R"({"stream_options":{"include_usage":true},"stream":true,"model":"real"})");
  EXPECT_EQ(ignored, "");
}

}  // namespace
}  // namespace weir::proxy
