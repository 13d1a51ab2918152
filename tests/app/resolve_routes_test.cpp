// Which model goes to which account, under which name, by which rules.
#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

using proxy::ParameterAction;

constexpr const char* two_upstreams =
    "upstreams:\n  - {name: ark-1, provider: volcengine-ark}\n  - {name: local, base_url: \"http://127.0.0.1:1\"}\n";

std::string routes(const std::string& models) {
  return routes_of(load(with_config(two_upstreams + models)));
}

TEST(ResolvedRoutes, NameTheAccountsOfAModel) {
  EXPECT_EQ(routes("models: [{name: deepseek-r1, upstreams: [ark-1, local]}]\n"), "deepseek-r1 -> ark-1, local\n");
}

TEST(ResolvedRoutes, AnAliasIsSentUnderItsRealName) {
  EXPECT_EQ(routes("models: [{name: fast, upstreams: [local], upstream_model: llama3.1}]\n"),
            "fast -> local as llama3.1\n");
}

TEST(ResolvedRoutes, ATargetMayHaveANameAndAWeightOfItsOwn) {
  EXPECT_EQ(routes("models:\n  - name: r1\n    upstream_model: deepseek-r1\n    upstreams: [{name: ark-1, weight: 3}, "
                   "{name: local, model: \"deepseek-r1:70b\"}]\n"),
            "r1 -> ark-1 as deepseek-r1 x3, local as deepseek-r1:70b\n");
}

TEST(ResolvedRoutes, ExactNamesComeBeforePatternsAndLongPatternsBeforeShort) {
  EXPECT_EQ(routes("models:\n  - {name: \"*\", upstreams: local}\n  - {name: \"gpt-*\", upstreams: local}\n  - {name: "
                   "\"gpt-4o-*\", upstreams: ark-1}\n"
                   "  - {name: gpt-4o-mini, upstreams: local}\n"),
            "gpt-4o-mini -> local\ngpt-4o-* -> ark-1\ngpt-* -> local\n* -> local\n");
}

TEST(ResolvedRoutes, AnUnknownUpstreamIsNamedWithItsPlaceAndTheNearest) {
  EXPECT_EQ(refusal(with_config(std::string(two_upstreams) + "models:\n  - name: a\n    upstreams: [local, ark1]\n")),
            "/etc/weir/weir.yaml:6:24: no upstream is called 'ark1' (did you mean 'ark-1'?)\n");
}

TEST(ResolvedRoutes, WithoutModelsOneUpstreamServesWhatIsAsked) {
  const Loaded loaded = load(with_config("upstreams: [{name: d, provider: deepseek}]\n"));
  EXPECT_EQ(routes_of(loaded),
            "deepseek-v4-flash -> d\ndeepseek-v4-pro -> d\ndeepseek-chat -> d\ndeepseek-reasoner -> d\n* -> d\n");
  EXPECT_TRUE(loaded.settings->models_from_upstream);
}

std::string first_target(const Loaded& loaded, std::string_view model) {
  for (const auto& route : loaded.settings->routes) {
    if (proxy::matches_pattern(route.pattern, model))
      return loaded.settings->upstreams.at(route.targets.at(0).upstream).name;
  }
  return "none";
}

TEST(ResolvedRoutes, WithoutModelsSeveralUpstreamsServeWhatTheirProvidersAreKnownFor) {
  const Loaded loaded = load({{{"DEEPSEEK_API_KEY", "d"}, {"OPENAI_API_KEY", "o"}, {"ARK_API_KEY", "a"}}, {}});
  const std::pair<const char*, const char*> cases[] = {{"deepseek-chat", "deepseek"},
                                                       {"deepseek-reasoner", "deepseek"},
                                                       {"deepseek-v4-pro", "deepseek"},
                                                       {"deepseek-v5", "deepseek"},
                                                       {"deepseek-r1", "volcengine-ark"},
                                                       {"deepseek-r1-250528", "volcengine-ark"},
                                                       {"deepseek-r1-270101", "volcengine-ark"},
                                                       {"ep-20250601-abcde", "volcengine-ark"},
                                                       {"doubao-pro", "volcengine-ark"},
                                                       {"gpt-4o-mini", "openai"},
                                                       {"o3-mini", "openai"},
                                                       {"text-embedding-3-small", "openai"},
                                                       {"ft:gpt-4o:org", "openai"},
                                                       {"llama3", "none"}};
  for (const auto& [model, upstream] : cases) EXPECT_EQ(first_target(loaded, model), upstream) << model;
  EXPECT_FALSE(loaded.settings->models_from_upstream);
}

TEST(ResolvedRoutes, WithoutModelsASecondAccountIsAnotherTarget) {
  const std::string text = routes_of(load(with_config(
      "upstreams:\n  - {name: ark-1, provider: volcengine-ark}\n  - {name: ark-2, provider: volcengine-ark}\n")));
  EXPECT_TRUE(text.starts_with("deepseek-r1 -> ark-1, ark-2\n")) << text;
  EXPECT_NE(text.find("\nep-* -> ark-1, ark-2\n"), std::string::npos) << text;
}

TEST(ResolvedRoutes, WithoutModelsServersOfOnesOwnAreNotTakenForOnePool) {
  const Loaded loaded = load(with_config(
      "upstreams:\n  - {name: a, base_url: \"http://127.0.0.1:1\"}\n  - {name: b, base_url: \"http://127.0.0.1:2\"}\n"
      "  - {name: c, provider: azure-openai, base_url: \"https://c.openai.azure.com\"}\n"));
  EXPECT_EQ(routes_of(loaded), "* -> a\n");
  ASSERT_EQ(loaded.warnings.size(), 2u);
  EXPECT_EQ(loaded.warnings[0], "upstream b: no model leads to it; name those it serves in `models`");
  EXPECT_EQ(loaded.warnings[1], "upstream c: no model leads to it; name those it serves in `models`");
}

TEST(ResolvedRoutes, ATargetWithoutANameIsOneProblemWithAPlace) {
  EXPECT_EQ(refusal(with_config("upstreams: [{name: a, provider: openai}]\nmodels:\n  - name: m\n    upstreams:\n"
                                "      - {model: x}\n")),
            "/etc/weir/weir.yaml:5:9: models[0].upstreams[0]: 'name' is missing\n");
}

TEST(ResolvedRoutes, ModelsOfAnAccountAreServed) {
  const std::string text =
      routes_of(load(with_config("upstreams:\n  - {name: a, provider: openai}\n  - name: b\n    base_url: "
                                 "http://127.0.0.1:1\n    models: {llama3: {}, \"qwen-*\": {}}\n")));
  EXPECT_NE(text.find("llama3 -> b\n"), std::string::npos) << text;
  EXPECT_NE(text.find("qwen-* -> b\n"), std::string::npos) << text;
}

// ---- the model behind a name ------------------------------------------------------------------------------------

std::string action(const proxy::ModelProfile& model, std::string_view parameter) {
  for (const auto& rule : model.parameters) {
    if (rule.name == parameter)
      return rule.action == ParameterAction::reject   ? "reject"
             : rule.action == ParameterAction::ignore ? "ignore"
             : rule.action == ParameterAction::drop   ? "drop"
                                                      : "forward";
  }
  return "none";
}

TEST(ResolvedModels, AnEndpointIdNamesItsBaseModel) {
  const Loaded loaded =
      load(with_config("upstreams:\n  - name: ark-1\n    provider: volcengine-ark\n    models:\n      ep-1: "
                       "{base_model: deepseek-r1}\n      ep-2: {base_model: deepseek-r1-250120}\n"));
  const proxy::ModelProfile& newest = profile(first_upstream(loaded), "ep-1");
  EXPECT_TRUE(newest.text_only);
  EXPECT_EQ(newest.input_tokens_max, 96'000u);
  EXPECT_EQ(newest.prices.at(0).input, 4.0);
  EXPECT_EQ(action(newest, "logprobs"), "reject");
  EXPECT_EQ(action(newest, "response_format"), "forward");
  EXPECT_EQ(action(profile(first_upstream(loaded), "ep-2"), "response_format"), "reject");
  EXPECT_EQ(action(profile(first_upstream(loaded), "ep-3"), "logprobs"), "none");
}

TEST(ResolvedModels, ARouteMayNameTheBaseModelOfWhatItSends) {
  const Loaded loaded =
      load(with_config("upstreams: [{name: a, provider: volcengine-ark}]\nmodels:\n  - {name: r1, upstreams: a, "
                       "upstream_model: ep-7, base_model: deepseek-r1}\n"));
  EXPECT_TRUE(profile(first_upstream(loaded), "ep-7").text_only);
}

TEST(ResolvedModels, ABaseModelOfAPatternDoesNotHideWhatIsKnownByName) {
  const Loaded loaded =
      load(with_config("upstreams: [{name: a, provider: volcengine-ark}]\nmodels:\n  - {name: \"deepseek-*\", "
                       "upstreams: a, base_model: deepseek-r1}\n"));
  EXPECT_EQ(action(profile(first_upstream(loaded), "deepseek-r1-250120"), "response_format"), "reject");
  EXPECT_EQ(action(profile(first_upstream(loaded), "deepseek-new"), "logprobs"), "reject");
}

TEST(ResolvedModels, AnUnknownBaseModelIsNamedWithItsPlaceAndTheNearest) {
  EXPECT_EQ(refusal(with_config(
                "upstreams:\n  - name: a\n    provider: anthropic\n    models:\n      x: {base_model: cluade-opus}\n")),
            "/etc/weir/weir.yaml:5:23: base_model: the provider 'anthropic' knows no model 'cluade-opus' (known: "
            "claude-*)\n");
  EXPECT_EQ(refusal(with_config("upstreams: [{name: a, provider: openai}]\nmodels:\n  - {name: x, upstreams: a, "
                                "base_model: deepseek-r1}\n"))
                .substr(0, 76),
            "/etc/weir/weir.yaml:3:41: base_model: the provider 'openai' knows no model '");
}

TEST(ResolvedModels, RulesOfTheAccountWinOverTheProviders) {
  const Loaded loaded =
      load(with_config("upstreams:\n  - name: a\n    provider: volcengine-ark\n    models:\n      deepseek-r1: "
                       "{parameters: {logprobs: drop, top_p: forward, seed: reject}}\n"));
  const proxy::ModelProfile& model = profile(first_upstream(loaded), "deepseek-r1");
  EXPECT_EQ(action(model, "logprobs"), "drop");
  EXPECT_EQ(action(model, "top_p"), "forward");
  EXPECT_EQ(action(model, "seed"), "reject");
  EXPECT_EQ(action(model, "temperature"), "ignore");
  EXPECT_EQ(action(profile(first_upstream(loaded), "deepseek-r1-250528"), "logprobs"), "reject");
}

TEST(ResolvedModels, OfAnAccountLongPatternsAreTriedFirst) {
  const Loaded loaded =
      load(with_config("upstreams:\n  - name: a\n    provider: generic\n    base_url: http://127.0.0.1:1\n    models:\n"
                       "      \"*\": {parameters: {seed: drop}}\n      \"llama-*\": {parameters: {seed: reject}}\n     "
                       " llama-3: {parameters: {seed: ignore}}\n"));
  EXPECT_EQ(action(profile(first_upstream(loaded), "llama-3"), "seed"), "ignore");
  EXPECT_EQ(action(profile(first_upstream(loaded), "llama-4"), "seed"), "reject");
  EXPECT_EQ(action(profile(first_upstream(loaded), "qwen"), "seed"), "drop");
}

// ---- accounts ---------------------------------------------------------------------------------------------------

TEST(ResolvedUpstreams, AnUnknownProviderIsNamedWithItsPlaceAndTheNearest) {
  EXPECT_EQ(refusal(with_config("upstreams:\n  - {name: a, provider: depseek}\n")),
            "/etc/weir/weir.yaml:2:25: no provider is called 'depseek' (did you mean 'deepseek'?)\n");
}

TEST(ResolvedUpstreams, AProviderWithoutAnAddressNeedsABaseUrl) {
  EXPECT_EQ(refusal(with_config("upstreams:\n  - {name: a, provider: azure-openai}\n")),
            "/etc/weir/weir.yaml:2:5: base_url is needed, since the provider 'azure-openai' has none of its own\n");
}

TEST(ResolvedUpstreams, TheProviderFollowsFromTheHost) {
  const std::pair<const char*, const char*> cases[] = {{"https://api.deepseek.com/v1", "deepseek"},
                                                       {"https://ark.cn-beijing.volces.com/api/v3", "volcengine-ark"},
                                                       {"https://ark.ap-southeast.bytepluses.com", "volcengine-ark"},
                                                       {"https://eu.api.openai.com", "openai"},
                                                       {"https://my-resource.openai.azure.com", "azure-openai"},
                                                       {"https://api.anthropic.com", "anthropic"},
                                                       {"https://openrouter.ai/api/v1", "openrouter"},
                                                       {"https://api.fireworks.ai/inference/v1", "fireworks"},
                                                       {"http://localhost:11434/v1", "generic"},
                                                       {"https://evilapi.deepseek.com.example.com", "generic"},
                                                       {"https://notapi.openai.com.evil", "generic"}};
  for (const auto& [url, provider] : cases)
    EXPECT_EQ(first_upstream(load({{{"WEIR_UPSTREAM", url}}, {}})).provider, provider) << url;
}

TEST(ResolvedUpstreams, AProviderFileOfTheDeploymentStandsBesideTheConfiguration) {
  World world = with_config("upstreams: [{name: a, provider: providers/mine.yaml}]\n");
  world.files["/etc/weir/providers/mine.yaml"] =
      "name: mine\nbase_url: http://10.0.0.9:8000\nauth: x-api-key\nheaders: {x-a: \"1\"}\nfamilies: {chat: "
      "/api}\nmodels: [{name: m}]\n";
  const Loaded loaded = load(world);
  EXPECT_EQ(first_upstream(loaded).provider, "mine");
  EXPECT_EQ(first_upstream(loaded).authority, "10.0.0.9:8000");
  EXPECT_EQ(first_upstream(loaded).auth, proxy::AuthStyle::x_api_key);
  EXPECT_EQ(first_upstream(loaded).headers.at(0).first, "x-a");
}

TEST(ResolvedUpstreams, AProviderFileWithAFaultSaysWhere) {
  World world = with_config("upstreams: [{name: a, provider: /mine.yaml}]\n");
  EXPECT_EQ(refusal(world).substr(0, 63), "/etc/weir/weir.yaml:1:33: the provider file '/mine.yaml' cannot");
  world.files["/mine.yaml"] = "name: mine\nbase_url: http://h\nfamilies: {chat: v1, chats: /v1}\n";
  EXPECT_EQ(refusal(world),
            "/mine.yaml:3:18: families.chat: expected a path that starts with '/', \"\" for none, or false\n"
            "/mine.yaml:3:22: families.chats: unknown key (did you mean 'chat'?)\n");
}

TEST(ResolvedUpstreams, HeadersOfTheAccountWinOverTheProviders) {
  const Loaded loaded = load(with_config(
      "upstreams: [{name: a, provider: anthropic, headers: {Anthropic-Version: \"2030-01-01\", x-b: \"2\"}}]\n"));
  std::string text;
  for (const auto& [name, value] : first_upstream(loaded).headers) text += name + "=" + value + " ";
  EXPECT_EQ(text, "Anthropic-Version=2030-01-01 x-b=2 ");
}

}  // namespace
}  // namespace weir::app
