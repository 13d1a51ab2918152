// Volcengine Ark's deepseek-r1, rule by rule: what is sent on, what is named as ignored, what is refused.
#include <gtest/gtest.h>

#include "app/config_support.hpp"
#include "protocol/request_support.hpp"
#include "proxy/parameter_rules.hpp"

namespace weir::app {
namespace {

// What happens to a chat request with these members: "forwarded", "forwarded, ignored: a, b", or "400 a".
std::string outcome(const std::string& model, const std::string& members,
                    const std::string& messages = R"([{"role":"user","content":"hi"}])") {
  static const Loaded loaded =
      load(with_config("upstreams:\n  - name: ark-1\n    provider: volcengine-ark\n    models: {ep-20250601-abcde: "
                       "{base_model: deepseek-r1}}\n"));
  const std::string body =
      R"({"model":")" + model + R"(","messages":)" + messages + (members.empty() ? "" : "," + members) + "}";
  const protocol::RequestView view = protocol::view_of(body);
  EXPECT_EQ(view.model, model) << body;
  const proxy::Upstream& upstream = first_upstream(loaded);
  proxy::Destination destination;
  destination.upstream = &upstream;
  destination.profile = proxy::profile_of(upstream, model);
  const auto result = proxy::prepare_body(body, view, destination, proxy::AskUsage::running);
  if (const auto* refused = std::get_if<proxy::Refusal>(&result))
    return std::to_string(refused->status) + " " + std::string(refused->code) + " " + refused->param;
  const auto& prepared = std::get<proxy::PreparedBody>(result);
  EXPECT_TRUE(prepared.splices.empty()) << "the body goes as it came";
  return prepared.ignored.empty() ? "forwarded" : "forwarded, ignored: " + prepared.ignored;
}

constexpr const char* versions[] = {"deepseek-r1", "deepseek-r1-250528", "deepseek-r1-250120", "deepseek-r1-270101",
                                    "ep-20250601-abcde"};

void expect_for_every_version(const std::string& members, const std::string& expected) {
  for (const char* model : versions) EXPECT_EQ(outcome(model, members), expected) << model << " with " << members;
}

TEST(DeepseekR1, PlainRequestIsForwarded) {
  expect_for_every_version("", "forwarded");
  expect_for_every_version(R"("max_tokens":5,"tools":[],"user":"u","seed":1)", "forwarded");
}

TEST(DeepseekR1, TextIsForwarded) {
  for (const char* model : versions)
    EXPECT_EQ(outcome(model, "", R"([{"role":"user","content":[{"type":"text","text":"hi"}]}])"), "forwarded");
}

TEST(DeepseekR1, ImagesAreRefused) {
  for (const char* model : versions) {
    EXPECT_EQ(outcome(model, "", R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}])"),
              "400 unsupported_parameter messages");
  }
}

TEST(DeepseekR1, AudioIsRefused) {
  for (const char* model : versions) {
    EXPECT_EQ(
        outcome(model, "",
                R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}])"),
        "400 unsupported_parameter messages");
  }
}

TEST(DeepseekR1, StopIsIgnored) {
  expect_for_every_version(R"("stop":["x"])", "forwarded, ignored: stop");
}
TEST(DeepseekR1, FrequencyPenaltyIsIgnored) {
  expect_for_every_version(R"("frequency_penalty":1)", "forwarded, ignored: frequency_penalty");
}
TEST(DeepseekR1, PresencePenaltyIsIgnored) {
  expect_for_every_version(R"("presence_penalty":1)", "forwarded, ignored: presence_penalty");
}
TEST(DeepseekR1, TemperatureIsIgnored) {
  expect_for_every_version(R"("temperature":0.5)", "forwarded, ignored: temperature");
}
TEST(DeepseekR1, TopPIsIgnored) {
  expect_for_every_version(R"("top_p":0.5)", "forwarded, ignored: top_p");
}

TEST(DeepseekR1, SeveralIgnoredParametersAreAllNamed) {
  EXPECT_EQ(
      outcome("deepseek-r1", R"("top_p":1,"temperature":1,"stop":null,"presence_penalty":1,"frequency_penalty":1)"),
      "forwarded, ignored: stop, frequency_penalty, presence_penalty, temperature, top_p");
}

TEST(DeepseekR1, LogprobsIsRefused) {
  expect_for_every_version(R"("logprobs":true)", "400 unsupported_parameter logprobs");
}
TEST(DeepseekR1, TopLogprobsIsRefused) {
  expect_for_every_version(R"("top_logprobs":2)", "400 unsupported_parameter top_logprobs");
}
TEST(DeepseekR1, LogitBiasIsRefused) {
  expect_for_every_version(R"("logit_bias":{"1":1})", "400 unsupported_parameter logit_bias");
}
TEST(DeepseekR1, ThinkingIsRefused) {
  expect_for_every_version(R"("thinking":{"type":"disabled"})", "400 unsupported_parameter thinking");
}

TEST(DeepseekR1, ARefusalWinsOverWhatIsIgnored) {
  EXPECT_EQ(outcome("deepseek-r1", R"("top_p":1,"logprobs":true)"), "400 unsupported_parameter logprobs");
}

TEST(DeepseekR1, ResponseFormatIsAcceptedFromVersion250528) {
  for (const char* model : {"deepseek-r1", "deepseek-r1-250528", "deepseek-r1-270101", "ep-20250601-abcde"}) {
    EXPECT_EQ(outcome(model, R"("response_format":{"type":"json_object"})"), "forwarded") << model;
  }
}
TEST(DeepseekR1, ResponseFormatIsRefusedByVersion250120) {
  EXPECT_EQ(outcome("deepseek-r1-250120", R"("response_format":{"type":"json_object"})"),
            "400 unsupported_parameter response_format");
}

TEST(DeepseekR1, MaxCompletionTokensIsAcceptedFromVersion250528) {
  for (const char* model : {"deepseek-r1", "deepseek-r1-250528", "deepseek-r1-270101", "ep-20250601-abcde"}) {
    EXPECT_EQ(outcome(model, R"("max_completion_tokens":100)"), "forwarded") << model;
  }
}
TEST(DeepseekR1, MaxCompletionTokensIsRefusedByVersion250120) {
  EXPECT_EQ(outcome("deepseek-r1-250120", R"("max_completion_tokens":100)"),
            "400 unsupported_parameter max_completion_tokens");
}

TEST(DeepseekR1, NothingOfItHoldsForDistilledModels) {
  EXPECT_EQ(outcome("deepseek-r1-distill-qwen-32b", R"("logprobs":true,"top_p":1)"), "forwarded");
}

}  // namespace
}  // namespace weir::app
