// What a provider says it would have charged a refused call is the one place where its own estimate shows.
#include <gtest/gtest.h>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

TEST(Requested, TeachesTheEstimateOfTheChargeOnArrival) {
  const std::string body =
      R"({"model":"gpt-4o","messages":[{"role":"user","content":"What is the capital of France?"}]})";
  ScriptedUpstream upstream;
  for (int i = 0; i < 3; ++i) {
    upstream.expect_request().send(answer_with(
        "429 Too Many Requests\r\nContent-Type: application/json\r\nx-should-retry: false\r\n",
        R"({"error":{"code":"rate_limit_exceeded","message":"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29990, Requested 400."}})"));
  }
  proxy::Settings settings = settings_for({upstream_at(upstream.port())});
  settings.upstreams[0].charge.rule = proxy::ChargeRule::max_or_estimate;
  TestProxy proxy(std::move(settings));
  const auto on_arrival = [&] {
    std::uint64_t tokens = 0;
    proxy.on_worker([&](proxy::WorkerContext& context) {
      tokens = context.shared.estimator.estimate_text("What is the capital of France?", "gpt-4o").on_arrival;
    });
    return tokens;
  };
  const std::uint64_t before = on_arrival();
  RawClient client(proxy.port());
  for (int i = 0; i < 3; ++i) {
    client.send(post("/v1/chat/completions", body));
    EXPECT_EQ(client.read_response().status(), 429);
  }
  // It counts some thirty times as many tokens as there are, which is believed within bounds.
  EXPECT_GT(on_arrival(), 3 * before);
}

}  // namespace
}  // namespace weir::test
