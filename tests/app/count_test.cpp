// `weir count`: what it makes of texts, bodies, configurations and mistakes.
#include "app/count.hpp"

#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

constexpr const char* today = "2026-11-25T12:00Z";

CountResult count(const std::string& input, std::optional<std::string> model = std::nullopt, const World& world = {}) {
  CountRequest request;
  request.model = std::move(model);
  return count_tokens(request, input, world.environment(), today);
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)
#define EXPECT_HAS_NOT(text, part) EXPECT_EQ((text).find(part), std::string::npos) << (text)

TEST(Count, OfATextSaysThatItIsAnEstimate) {
  const CountResult result = count("The quick brown fox jumps over the lazy dog.\n", "gpt-4o");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_HAS(result.out, "model       gpt-4o (provider openai, as shipped; tokenizer family o200k)\n");
  EXPECT_HAS(result.out, "counted     text, 45 bytes\n");
  EXPECT_HAS(result.out, "charge      ");
  EXPECT_HAS(result.out, "This is an estimate");
}

TEST(Count, OfABodyNamesItsParts) {
  const CountResult result = count(
      R"({"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},
          {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}}]}],"max_tokens":500,"n":2})");
  EXPECT_EQ(result.status, 0);
  EXPECT_HAS(result.out, "counted     chat request, ");
  EXPECT_HAS(result.out, "  framing   7\n");
  EXPECT_HAS(result.out, "  images    85\n");
  EXPECT_HAS_NOT(result.out, "  tools");
  EXPECT_HAS(result.out, "output      1,000 tokens at most, all 2 choices together\n");
  EXPECT_HAS(result.out, "charge      1,000 tokens on arrival: the larger of cap and input\n");
}

TEST(Count, KnowsWhatACapCoversAtArksDeepseekR1) {
  const std::string messages = R"("messages":[{"role":"user","content":"hi"}])";
  EXPECT_HAS(count(R"({"model":"deepseek-r1",)" + messages + "}").out, "output      36,000 tokens at most\n");
  EXPECT_HAS(count(R"({"model":"deepseek-r1","max_tokens":1000,)" + messages + "}").out,
             "output      33,000 tokens at most\n");
  const CountResult both = count(R"({"model":"deepseek-r1","max_completion_tokens":1000,)" + messages + "}");
  EXPECT_HAS(both.out, "output      1,000 tokens at most\n");
  EXPECT_HAS(both.out, "provider volcengine-ark");
  EXPECT_HAS(both.out, "then the output as it is produced");
  EXPECT_HAS(both.out, "CNY for the input, 0.016000 CNY for the longest answer\n");
}

TEST(Count, TakesThePriceThatHoldsNow) {
  const CountResult result = count(std::string(40'000, 'x') + " 1", "deepseek-v4-flash");
  EXPECT_HAS(result.out, "provider deepseek,");
  EXPECT_HAS(result.out, " USD for the input, 0.2304 USD for the longest answer");  // 384,000 tokens at 0.60 a million
  EXPECT_HAS(result.out, " CNY for the input, ");
  EXPECT_HAS(result.out, "peak hours");
  EXPECT_HAS(result.out, "charge      no tokens are counted here");
}

TEST(Count, CountsTokenIdsExactly) {
  const CountResult result = count(R"({"model":"text-embedding-3-small","input":[[1,2,3],[4,5]]})");
  EXPECT_HAS(result.out, "counted     embeddings request");
  EXPECT_HAS(result.out, "input       5 tokens; 5 at most");
  EXPECT_HAS(result.out, "output      none\n");
}

TEST(Count, TellsTheApisApart) {
  const auto counted_as = [](const std::string& body) {
    const std::string out = count(body, "m").out;
    const auto at = out.find("counted     ") + 12;
    return out.substr(at, out.find(',', at) - at);
  };
  EXPECT_EQ(counted_as(R"({"messages":[]})"), "chat request");
  EXPECT_EQ(counted_as(R"({"messages":[],"system":"x","max_tokens":1})"), "messages request");
  EXPECT_EQ(counted_as(R"({"prompt":"x"})"), "completions request");
  EXPECT_EQ(counted_as(R"({"input":"x"})"), "responses request");
  EXPECT_EQ(counted_as(R"({"input":["x"],"model":"bge-embed"})"), "embeddings request");
  EXPECT_EQ(counted_as(R"({"input":[1]})"), "embeddings request");
  EXPECT_EQ(counted_as(R"({"a":"x"})"), "text");
  EXPECT_EQ(counted_as("{ not json"), "text");
}

TEST(Count, SaysWhatItAssumed) {
  EXPECT_HAS(count("hello").err, "no model is named");
  EXPECT_HAS(count("hello").out, "none named (no provider known; tokenizer family generic)");
  EXPECT_HAS(count("hello").out, "price       not known");
  EXPECT_HAS(count(R"({"a":1})", "gpt-4o").err, "counted as a text");
}

TEST(Count, RefusesWhatCannotBeCounted) {
  for (const char* input : {"", " \n"}) {
    EXPECT_EQ(count(input).status, 2);
    EXPECT_EQ(count(input).err, "weir count: there is nothing to count\n");
  }
  const CountResult broken = count(R"({"model":"gpt-4o","messages":[})");
  EXPECT_EQ(broken.status, 2);
  EXPECT_EQ(broken.out, "");
  EXPECT_HAS(broken.err, "weir count: the request body is not valid at byte 30: ");
  const CountResult twice = count(R"({"model":"a","model":"b","messages":[]})");
  EXPECT_EQ(twice.status, 2);
  EXPECT_HAS(twice.err, "twice");
  const CountResult shape = count(R"({"model":"a","messages":[1]})");
  EXPECT_EQ(shape.status, 2);
  EXPECT_HAS(shape.err, "messages[0]");
}

TEST(Count, UsesTheConfigurationThatIsNamed) {
  const World world = with_config(
      "upstreams:\n  - name: ark-1\n    provider: volcengine-ark\n    models: {ep-1: {base_model: deepseek-r1}}\n"
      "models:\n  - {name: house, upstreams: [ark-1], upstream_model: ep-1}\n");
  const CountResult result = count("hello", "house", world);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_HAS(result.out, "house (upstream ark-1, as ep-1; tokenizer family deepseek)");
  EXPECT_HAS(result.out, "output      36,000 tokens at most");
  const CountResult unknown = count("hello", "elsewhere", world);
  EXPECT_EQ(unknown.status, 2);
  EXPECT_HAS(unknown.err, "no upstream for the model 'elsewhere'");
}

TEST(Count, ShowsTheProblemsOfABadConfiguration) {
  const CountResult result = count("hello", "m", with_config("upstream: []\n"));
  EXPECT_EQ(result.status, 2);
  EXPECT_HAS(result.err, "weir.yaml:");
}

}  // namespace
}  // namespace weir::app
