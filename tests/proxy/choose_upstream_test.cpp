// Where requests go: tables of model → account, and of paths without a model.
#include "proxy/choose_upstream.hpp"

#include <gtest/gtest.h>

#include "net/http_proxy.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

Settings two_accounts() {
  Settings settings;
  settings.upstreams = {test::upstream_at(1, "ark"), test::upstream_at(2, "deepseek")};
  Upstream& ark = settings.upstreams[0];
  ark.native_prefixes = {"/api/v3"};
  ark.families.fill(FamilyPath{true, "/api/v3"});
  ark.families[static_cast<std::size_t>(protocol::Api::messages)] = {};
  ark.models.resize(2);
  ark.models[0].name = "deepseek-r1-*";
  ark.models[1].name = "*";
  Upstream& deepseek = settings.upstreams[1];
  deepseek.native_prefixes = {"/beta", "/anthropic", "/user/"};
  deepseek.families.fill(FamilyPath{true, ""});
  deepseek.families[static_cast<std::size_t>(protocol::Api::messages)] = {true, "/anthropic/v1"};
  deepseek.query = "a=1";
  settings.routes = {{"deepseek-r1", {{0, "deepseek-r1-250528", 1}, {1, "deepseek-reasoner", 1}}, true},
                     {"deepseek-*", {{1, "", 1}}, true},
                     {"orphan", {}, true}};
  return settings;
}

class ChooseUpstream : public ::testing::Test {
 protected:
  std::string by_model(std::string_view model, std::string_view wanted = {}, std::string_view issuer = {}) {
    return text_of(choose_by_model(*snapshot, client, model, wanted, issuer));
  }
  std::string without_model(std::string_view target, std::string_view wanted = {}) {
    return text_of(choose_without_model(*snapshot, client, "GET", find_route("GET", target), wanted, issued));
  }
  static std::string text_of(const std::variant<Destinations, Refusal>& chosen) {
    if (const auto* refusal = std::get_if<Refusal>(&chosen))
      return std::to_string(refusal->status) + " " + std::string(refusal->code);
    std::string text;
    for (const Destination& to : std::get<Destinations>(chosen)) {
      text += (text.empty() ? "" : ", or ") + to.upstream->name +
              (to.model.empty() ? "" : " as " + std::string(to.model)) + (to.profile ? " by " + to.profile->name : "");
    }
    return text;
  }
  SnapshotPtr snapshot = make_snapshot(std::make_shared<const Settings>(two_accounts()), net::ProxyRules(), nullptr);
  ClientKey key;
  Client client;
  IssuedIds issued;
};

TEST_F(ChooseUpstream, ByModel) {
  EXPECT_EQ(by_model("deepseek-r1"), "ark as deepseek-r1-250528 by deepseek-r1-*, or deepseek as deepseek-reasoner");
  EXPECT_EQ(by_model("deepseek-chat"), "deepseek");
  EXPECT_EQ(by_model("gpt-5"), "404 model_not_found");
  EXPECT_EQ(by_model("orphan"), "404 model_not_found");
  EXPECT_EQ(by_model(""), "400 invalid_parameter");
}

TEST_F(ChooseUpstream, ByHeaderAmongTheModelsAccounts) {
  EXPECT_EQ(by_model("deepseek-r1", "deepseek"), "deepseek as deepseek-reasoner");
  EXPECT_EQ(by_model("deepseek-chat", "ark"), "400 invalid_parameter");
  EXPECT_EQ(by_model("deepseek-chat", "nobody"), "400 invalid_parameter");
}

TEST_F(ChooseUpstream, ByTheAccountThatIssuedAnId) {
  EXPECT_EQ(by_model("deepseek-r1", "", "deepseek"), "deepseek as deepseek-reasoner");
  EXPECT_EQ(by_model("deepseek-r1", "ark", "deepseek"), "ark as deepseek-r1-250528 by deepseek-r1-*");
  EXPECT_EQ(by_model("deepseek-r1", "", "gone"), by_model("deepseek-r1"));
}

TEST_F(ChooseUpstream, AsTheKeyAllows) {
  key.models = {"deepseek-r*"};
  key.upstreams = {"deepseek"};
  client.key = &key;
  EXPECT_EQ(by_model("deepseek-r1"), "deepseek as deepseek-reasoner");
  EXPECT_EQ(by_model("deepseek-r1", "ark"), "400 invalid_parameter");
  EXPECT_EQ(by_model("deepseek-r1", "", "ark"), "deepseek as deepseek-reasoner");
  EXPECT_EQ(by_model("deepseek-chat"), "403 model_not_allowed");
  EXPECT_EQ(by_model("gpt-5"), "403 model_not_allowed");
  key.upstreams = {"nowhere"};
  EXPECT_EQ(by_model("deepseek-r1"), "404 model_not_found");
  EXPECT_EQ(without_model("/v1/files"), "503 weir_no_upstream");
}

TEST_F(ChooseUpstream, WithoutAModel) {
  EXPECT_EQ(without_model("/v1/files"), "400 invalid_parameter");
  EXPECT_EQ(without_model("/v1/files", "ark"), "ark");
  EXPECT_EQ(without_model("/v1/files", "nobody"), "400 invalid_parameter");
  EXPECT_EQ(without_model("/user/balance"), "deepseek");
  EXPECT_EQ(without_model("/api/v3/contents/generations/tasks"), "ark");
  issued.remember("file-1", "deepseek");
  issued.remember("ftjob-1", "ark");
  issued.remember("file-2", "gone");
  EXPECT_EQ(without_model("/v1/files/file-1/content"), "deepseek");
  EXPECT_EQ(without_model("/v1/files/file-1/content", "ark"), "ark");
  EXPECT_EQ(without_model("/v1/fine_tuning/jobs/ftjob-1/events"), "ark");
  EXPECT_EQ(without_model("/v1/files/file-2"), "400 invalid_parameter");
  client.key = &key;
  key.default_upstream = "ark";
  EXPECT_EQ(without_model("/v1/files"), "ark");
  EXPECT_EQ(without_model("/v1/files/file-1"), "deepseek");
  key.upstreams = {"ark"};
  EXPECT_EQ(without_model("/v1/files/file-1"), "ark");
  key.default_upstream = "";
  EXPECT_EQ(without_model("/v1/files"), "ark");  // the only one it may use
}

TEST_F(ChooseUpstream, SendsAKeyOfSomeModelsToNoModelThatIsNotRead) {
  const auto posted = [&](const char* path) {
    return text_of(choose_without_model(*snapshot, client, "POST", find_route("POST", path), "ark", issued));
  };
  EXPECT_EQ(posted("/v1/images/generations"), "ark");
  client.key = &key;
  EXPECT_EQ(posted("/v1/images/generations"), "ark");
  key.models = {"deepseek-*"};
  for (const char* path : {"/v1/images/generations", "/v1/audio/speech", "/v1/moderations", "/v1/batches",
                           "/v1/filesystem", "/api/v3/contents/generations/tasks"})
    EXPECT_EQ(posted(path), "403 model_not_allowed") << path;
  for (const char* path : {"/v1/files", "/v1/uploads/upload_1/parts", "/v1/batches/batch_1/cancel"})
    EXPECT_EQ(posted(path), "ark") << path;
  EXPECT_EQ(without_model("/v1/batches", "ark"), "ark");  // looking is free
  key.models.emplace_back("*");
  EXPECT_EQ(posted("/v1/images/generations"), "ark");
}

TEST_F(ChooseUpstream, NamesTheChoices) {
  const auto chosen = choose_without_model(*snapshot, client, "GET", find_route("GET", "/v1/files"), "", issued);
  EXPECT_NE(std::get<Refusal>(chosen).message.find("ark, deepseek"), std::string::npos);
  EXPECT_EQ(std::get<Refusal>(chosen).param, "x-weir-upstream");
}

TEST_F(ChooseUpstream, APathOfOneProviderIsForTheAccountsThatHaveIt) {
  for (const char* path : {"/api/v3/contents/generations/tasks", "/user/balance", "/user/x", "/beta/x"}) {
    const bool of_ark = std::string_view(path).starts_with("/api");
    EXPECT_EQ(without_model(path), of_ark ? "ark" : "deepseek") << path;
    key = {};
    key.upstreams = {of_ark ? "deepseek" : "ark"};
    client.key = &key;
    EXPECT_EQ(without_model(path), "404 weir_api_not_served") << path;
    key.upstreams.emplace_back(of_ark ? "ark" : "deepseek");
    key.default_upstream = of_ark ? "deepseek" : "ark";
    EXPECT_EQ(without_model(path), of_ark ? "ark" : "deepseek") << path;
    const auto refused = choose_without_model(*snapshot, client, "GET", find_route("GET", path), "nobody", issued);
    EXPECT_NE(std::get<Refusal>(refused).message.find(of_ark ? "one of: ark." : "one of: deepseek."), std::string::npos)
        << std::get<Refusal>(refused).message;
    client.key = nullptr;
  }
  EXPECT_EQ(without_model("/api/v3/files", "deepseek"), "deepseek") << "others have files, too";
}

TEST_F(ChooseUpstream, NamesNoChoiceThatCannotServeThePath) {
  Settings settings = two_accounts();
  settings.upstreams.push_back(test::upstream_at(3, "chats"));
  settings.upstreams.back().families[static_cast<std::size_t>(protocol::Api::other)] = {};
  snapshot = make_snapshot(std::make_shared<const Settings>(std::move(settings)), net::ProxyRules(), nullptr);
  const auto chosen = choose_without_model(*snapshot, client, "GET", find_route("GET", "/v1/files"), "", issued);
  EXPECT_NE(std::get<Refusal>(chosen).message.find("one of: ark, deepseek."), std::string::npos);
  client.key = &key;
  key.upstreams = {"ark", "chats"};
  EXPECT_EQ(without_model("/v1/files"), "ark");
  key.upstreams = {"chats"};
  EXPECT_EQ(without_model("/v1/files"), "404 weir_api_not_served");
}

TEST_F(ChooseUpstream, MapsPathsToThoseOfTheProvider) {
  const Upstream& ark = snapshot->settings->upstreams[0];
  const Upstream& deepseek = snapshot->settings->upstreams[1];
  const auto target = [](const Upstream& upstream, const char* method, const char* path) {
    const std::string found = upstream_target(upstream, find_route(method, path));
    EXPECT_EQ(serves(upstream, find_route(method, path)), !found.empty()) << path;
    return found;
  };
  EXPECT_EQ(target(ark, "POST", "/v1/chat/completions"), "/api/v3/chat/completions");
  EXPECT_EQ(target(ark, "POST", "/chat/completions?b=2"), "/api/v3/chat/completions?b=2");
  EXPECT_EQ(target(ark, "POST", "/api/v3/chat/completions"), "/api/v3/chat/completions");
  EXPECT_EQ(target(ark, "POST", "/api/v3/bots/chat/completions"), "/api/v3/bots/chat/completions");
  EXPECT_EQ(target(ark, "POST", "/v1/messages"), "");
  EXPECT_EQ(target(deepseek, "POST", "/v1/messages"), "/anthropic/v1/messages?a=1");
  EXPECT_EQ(target(deepseek, "POST", "/v1/messages/count_tokens"), "/anthropic/v1/messages/count_tokens?a=1");
  EXPECT_EQ(target(deepseek, "POST", "/anthropic/v1/messages"), "/anthropic/v1/messages?a=1");
  EXPECT_EQ(target(deepseek, "POST", "/beta/completions?b=2"), "/beta/completions?b=2&a=1");
  EXPECT_EQ(target(deepseek, "POST", "/api/v3/chat/completions"), "/chat/completions?a=1");
  EXPECT_EQ(target(deepseek, "GET", "/user/balance"), "/user/balance?a=1");
  EXPECT_EQ(target(ark, "GET", "/user/balance"), "");
  EXPECT_EQ(target(deepseek, "POST", "/api/v3/bots/chat/completions"), "");
  EXPECT_EQ(target(deepseek, "GET", "/api/v3/responses/resp_1"), "/responses/resp_1?a=1");
  EXPECT_EQ(target(ark, "GET", "/beta/files/file_1"), "/api/v3/files/file_1");
}

TEST(Pattern, HasOnlyStars) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("gpt-*", "gpt-"));
  EXPECT_TRUE(matches_pattern("*-r1*", "deepseek-r1-250528"));
  EXPECT_TRUE(matches_pattern("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches_pattern("gpt-*", "GPT-4"));
  EXPECT_FALSE(matches_pattern("gpt", "gpt-4"));
  EXPECT_FALSE(matches_pattern("", "x"));
  EXPECT_FALSE(matches_pattern("a.c", "abc"));
  EXPECT_FALSE(matches_pattern("*a", "ab"));
}

}  // namespace
}  // namespace weir::proxy
