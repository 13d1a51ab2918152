// ${X}, ${X:-default}, ${file:/path} and $${, and that what comes from outside the file never shows in a message.
#include "app/interpolate.hpp"

#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

const World given{
    {{"X", "value"}, {"Y", "other"}, {"EMPTY", ""}, {"LOOP", "${LOOP}"}, {"TRICKY", "a: \"b\"\n- ${X}"}},
    {{"/run/secrets/x", "from file\r\n"}, {"/run/secrets/two", "one\ntwo\n\n"}, {"/run/secrets/empty", "\n"}}};

std::string value(std::string_view text) {
  const Interpolated result = interpolate(text, given.environment());
  return result.error.empty() ? result.text : "refused: " + result.error;
}

TEST(Interpolation, TakesVariablesDefaultsAndFiles) {
  const std::pair<const char*, const char*> cases[] = {
      {"plain", "plain"},
      {"", ""},
      {"${X}", "value"},
      {"a${X}b${Y}c", "avaluebotherc"},
      {"${X:-default}", "value"},
      {"${NONE:-default}", "default"},
      {"${EMPTY:-default}", "default"},
      {"${EMPTY:-}", ""},
      {"${NONE:-}", ""},
      {"${NONE:-${X}}", "value"},
      {"${NONE:-a${NONE:-b}c}", "abc"},
      {"${NONE:-http://h:80/}", "http://h:80/"},
      {"${file:/run/secrets/x}", "from file"},
      {"${file:/run/secrets/two}", "one\ntwo"},
      {"$X", "$X"},
      {"$", "$"},
      {"100%$", "100%$"},
      {"{X}", "{X}"},
      {"$${X}", "${X}"},
      {"$${", "${"},
      {"a$${X}${X}", "a${X}value"},
      {"${X}$${Y}", "value${Y}"},
      {"${LOOP}", "${LOOP}"},  // what was put in is not expanded again
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(value(text), expected) << text;
}

TEST(Interpolation, SaysWhatIsMissing) {
  const std::pair<const char*, const char*> cases[] = {
      {"${NONE}", "refused: the variable NONE is not set; set it, or write ${NONE:-default}"},
      {"${EMPTY}", "refused: the variable EMPTY is empty; set it, or write ${EMPTY:-default}"},
      {"a ${X} ${NONE}", "refused: the variable NONE is not set; set it, or write ${NONE:-default}"},
      {"${file:/none}", "refused: the file '/none' cannot be read"},
      {"${file:/run/secrets/empty}", "refused: the file '/run/secrets/empty' is empty"},
      {"${file:}", "refused: the file '' cannot be read"},
      {"${", "refused: '${' is not closed; for a plain '${' write '$${'"},
      {"${X", "refused: '${' is not closed; for a plain '${' write '$${'"},
      {"${NONE:-${X}", "refused: '${' is not closed; for a plain '${' write '$${'"},
      {"${}",
       "refused: what stands between '${' and '}' is no variable name: write ${NAME}, ${NAME:-default} or "
       "${file:/path}"},
      {"${1X}",
       "refused: what stands between '${' and '}' is no variable name: write ${NAME}, ${NAME:-default} or "
       "${file:/path}"},
      {"${X:default}",
       "refused: what stands between '${' and '}' is no variable name: write ${NAME}, ${NAME:-default} or "
       "${file:/path}"},
      {"${A:-${B:-${C:-${D:-${E:-${F:-x}}}}}}", "refused: interpolations are nested too deeply"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(value(text), expected) << text;
}

TEST(Interpolation, CannotChangeTheStructureOfTheFile) {
  EXPECT_EQ(config_of("state_file: ${TRICKY}\nworkers: 2\n", given).state_file, "a: \"b\"\n- ${X}");
}

TEST(Interpolation, IsOfValuesNotOfKeys) {
  EXPECT_EQ(read("${X}: 1\n", given).problems.substr(0, 31), "weir.yaml:1:1: ${X}: unknown ke");
}

TEST(Interpolation, ErrorsHaveTheirPlace) {
  EXPECT_EQ(read("operator:\n  token: ${NONE}\n", given).problems,
            "weir.yaml:2:10: operator.token: the variable NONE is not set; set it, or write ${NONE:-default}\n");
}

// Whatever a variable holds, and wherever it is put, its value stays out of the messages.
TEST(Interpolation, ValuesFromOutsideAreNeverQuoted) {
  const std::string secret = "sk-very+secret://4711";
  const World with_secret{{{"SECRET", secret}}, {{"/secret", secret}}};
  for (const char* reference : {"\"${SECRET}\"", "\"x${SECRET}\"", "\"${file:/secret}\"", "\"${NONE:-${SECRET}}\""}) {
    for (const std::string before : {"version: ",
                                     "listen: ",
                                     "listen: [localhost:1, ",
                                     "workers: ",
                                     "start_guard: ",
                                     "operator: {listen: ",
                                     "clients: {mode: ",
                                     "clients: {open: ",
                                     "clients: {hosts: ",
                                     "clients: {origins: ",
                                     "queue: {wait_max: ",
                                     "queue: {requests_max: ",
                                     "queue: {bytes_max: ",
                                     "breaker: {enabled: ",
                                     "log: {level: ",
                                     "tiers: {a: {rpm: ",
                                     "tiers: {a: {window: ",
                                     "keys: [{name: a, hash: ",
                                     "upstreams: [{name: a, share: ",
                                     "upstreams: [{name: a, base_url: ",
                                     "upstreams: [{name: a, query: ? ",
                                     "upstreams: [{name: a, auth: ",
                                     "limits: {json_depth_max: ",
                                     "upstreams: [{name: ",
                                     "models: [{upstreams: u, name: "}) {
      std::string yaml = before + reference;
      for (auto open = before.rbegin(); open != before.rend(); ++open) {
        if (*open == '{') yaml += '}';
        if (*open == '[') yaml += ']';
      }
      const std::string problems = read(yaml + "\n", with_secret).problems;
      EXPECT_EQ(problems.find("secret:"), std::string::npos) << yaml << "\n" << problems;
      EXPECT_EQ(problems.find("4711"), std::string::npos) << yaml << "\n" << problems;
    }
  }
}

TEST(Interpolation, ReferencesFromOutsideAreNeverQuoted) {
  const std::map<std::string, std::string> variables{{"SECRET", "sk-very-secret-4711"}};
  for (const char* yaml :
       {"upstreams: [{name: a, provider: \"${SECRET}\"}]",
        "upstreams: [{name: a, provider: openai, tier: \"${SECRET}\"}]",
        "upstreams: [{name: a, provider: openai}]\nmodels: [{name: m, upstreams: \"${SECRET}\"}]",
        "upstreams: [{name: a, provider: volcengine-ark, models: {ep-1: {base_model: \"${SECRET}\"}}}]",
        "upstreams: [{name: a, provider: openai}]\nkeys: [{name: k, team: \"${SECRET}\", default_upstream: "
        "\"${SECRET}\", "
        "hash: \"sha256:00000000000000000000000000000000000000000000000000000000000000ff\"}]"}) {
    const std::string problems = refusal(with_config(yaml, variables));
    EXPECT_NE(problems, "accepted");
    EXPECT_EQ(problems.find("4711"), std::string::npos) << problems;
  }
}

TEST(Interpolation, ASecretWrittenWhereItsNameBelongsIsNotQuoted) {
  EXPECT_EQ(read("operator: {token: \"${sk-secret-4711}\"}\n").problems.find("4711"), std::string::npos);
}

}  // namespace
}  // namespace weir::app
