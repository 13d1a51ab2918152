// Variables that are set and change nothing are told, with what was probably meant; those that are somebody else's are
// not.
#include "app/unread_variables.hpp"

#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

std::string told(const std::vector<std::string>& names, const std::set<std::string>& asked = {}) {
  return to_string(unread_variables(names, asked));
}

TEST(UnreadVariables, AreToldWithTheNearestName) {
  const std::pair<const char*, const char*> cases[] = {
      {"WEIR_RMP", "WEIR_RPM"},
      {"WEIR_LOGLEVEL", "WEIR_LOG_LEVEL"},
      {"WEIR_UPSTREAM_URL", "WEIR_UPSTREAM"},
      {"WEIR_UPSTREAM_APIKEY", "WEIR_UPSTREAM_API_KEY"},
      {"WEIR_UPSTREAM_KEY", "WEIR_UPSTREAM_API_KEY"},
      {"WEIR_UPSTEAM_API_KEY_FILE", "WEIR_UPSTREAM_API_KEY_FILE"},
      {"WEIR_WORKER", "WEIR_WORKERS"},
      {"WEIR_LISTEN_OPERATOR", "WEIR_LISTEN"},
  };
  for (const auto& [name, meant] : cases) {
    EXPECT_EQ(told({name}),
              std::string(name) + ": weir reads no variable of this name (did you mean '" + meant + "'?)\n");
  }
  EXPECT_EQ(told({"WEIR_FAVOURITE_COLOUR"}), "WEIR_FAVOURITE_COLOUR: weir reads no variable of this name\n");
}

TEST(UnreadVariables, AreNoneOfThoseThatWeirReads) {
  EXPECT_EQ(told(known_variables()), "");
  EXPECT_EQ(told({"OPENAI_API_KEY", "HOME", "WEIRD", "weir_rpm"}), "");
}

TEST(UnreadVariables, AreNoneOfThoseThatTheConfigurationReads) {
  EXPECT_EQ(told({"WEIR_KEY_OF_ARK"}, {"WEIR_KEY_OF_ARK"}), "");
}

// Kubernetes sets these in every pod that comes after a service, the pods of the service itself among them.
TEST(UnreadVariables, AreNoneOfThoseThatKubernetesMakesForServices) {
  std::vector<std::string> names;
  for (const std::string service : {"WEIR", "WEIR_OPERATORS"}) {
    for (const char* rest : {"_SERVICE_HOST", "_SERVICE_PORT", "_SERVICE_PORT_HTTP", "_PORT", "_PORT_8080_TCP",
                             "_PORT_8080_TCP_PROTO", "_PORT_8080_TCP_PORT", "_PORT_8080_TCP_ADDR"})
      names.push_back(service + rest);
  }
  EXPECT_EQ(told(names), "");
  // A port that somebody meant for weir.
  EXPECT_EQ(told({"WEIR_PORT"}), "WEIR_PORT: weir reads no variable of this name\n");
}

TEST(UnreadVariables, AreWarningsBesideAGoodConfiguration) {
  const World world =
      with_config("upstreams: [{name: a, base_url: \"http://127.0.0.1:1\", api_key: \"${WEIR_MINE}\"}]\n",
                  {{"WEIR_MINE", "k"}, {"WEIR_RMP", "5"}});
  EXPECT_EQ(load(world).warnings,
            std::vector<std::string>{"WEIR_RMP: weir reads no variable of this name (did you mean 'WEIR_RPM'?)"});
}

TEST(UnreadVariables, StandAmongTheProblemsWhoseCauseTheyMayBe) {
  const std::string text = refusal({{{"WEIR_UPSTEAM", "http://127.0.0.1:1"}}, {}});
  EXPECT_NE(text.find("WEIR_UPSTEAM: weir reads no variable of this name (did you mean 'WEIR_UPSTREAM'?)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("no upstream is configured"), std::string::npos) << text;
}

}  // namespace
}  // namespace weir::app
