// The variables that providers' own SDKs read (OPENAI_API_KEY and its like): when weir takes them for itself, and when
// it says that they are hardly meant for it.
#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

constexpr const char* asks_pass_through = "clients: {mode: pass-through}\n";

TEST(UsualKeys, InPassThroughModeTheyAreTheCallers) {
  const World world = with_config(asks_pass_through, {{"DEEPSEEK_API_KEY", "sk-d"}});
  Overrides flags;
  flags.upstream = "https://api.deepseek.com";
  for (const Loaded& loaded : {load(world, flags), load(world)}) {
    EXPECT_EQ(loaded.settings->clients.mode, proxy::ClientMode::pass_through);
    EXPECT_EQ(first_upstream(loaded).name, "deepseek");
    EXPECT_EQ(first_upstream(loaded).api_key, "");
  }
}

TEST(UsualKeys, AKeyGivenToWeirContradictsPassThrough) {
  const World world = with_config(asks_pass_through,
                                  {{"WEIR_UPSTREAM_API_KEY", "sk-w"}, {"WEIR_UPSTREAM", "https://api.deepseek.com"}});
  EXPECT_NE(refusal(world).find("clients.mode is pass-through"), std::string::npos) << refusal(world);
}

TEST(UsualKeys, TheKeyOfTheUpstreamGoesToTheOnlyOneOfTheFile) {
  const std::map<std::string, std::string> key{{"WEIR_UPSTREAM_API_KEY", "sk-w"}};
  EXPECT_EQ(first_upstream(load(with_config("upstreams: [{name: a, provider: openai, api_key: sk-f}]\n", key))).api_key,
            "sk-w");
  EXPECT_EQ(refusal(with_config("upstreams: [{name: a, provider: openai}, {name: b, provider: deepseek}]\n", key)),
            "WEIR_UPSTREAM_API_KEY: there are 2 upstreams; write the key of each into the configuration file\n");
}

TEST(UsualKeys, AnOpenAiKeyBesideAnotherBaseUrlIsWarnedOf) {
  const auto warnings = [](std::map<std::string, std::string> variables) {
    return load({std::move(variables), {}}).warnings;
  };
  const auto local = warnings({{"OPENAI_API_KEY", "any"}, {"OPENAI_BASE_URL", "http://localhost:8080/v1"}});
  ASSERT_EQ(local.size(), 1u);
  EXPECT_NE(local[0].find("OPENAI_BASE_URL names another server"), std::string::npos) << local[0];
  EXPECT_EQ(local[0].find("any"), std::string::npos) << "quotes the key: " << local[0];
  EXPECT_TRUE(warnings({{"OPENAI_API_KEY", "o"}, {"OPENAI_BASE_URL", "https://api.openai.com/v1"}}).empty());
  EXPECT_TRUE(warnings({{"OPENAI_API_KEY", "o"}, {"OPENAI_BASE_URL", ""}}).empty());
  EXPECT_TRUE(warnings({{"DEEPSEEK_API_KEY", "d"}, {"OPENAI_BASE_URL", "http://localhost:8080/v1"}}).empty());
}

}  // namespace
}  // namespace weir::app
