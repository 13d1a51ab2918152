// What is wrong with a configuration is said with its file, line, column and key, and what to write instead.
#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

class ConfigErrors : public testing::TestWithParam<WrongConfig> {};

TEST_P(ConfigErrors, NameThePlaceTheKeyAndWhatWasMeant) {
  EXPECT_EQ(read(GetParam().yaml).problems, GetParam().problems);
}

constexpr WrongConfig unknown_keys[] = {
    {"TopLevel", "lisen: localhost:9000\n", "weir.yaml:1:1: lisen: unknown key (did you mean 'listen'?)\n"},
    {"InASection", "queue:\n  wait_mx: 5m\n", "weir.yaml:2:3: queue.wait_mx: unknown key (did you mean 'wait_max'?)\n"},
    {"TurnedRound", "queue:\n  max_wait: 5m\n",
     "weir.yaml:2:3: queue.max_wait: unknown key (did you mean 'wait_max'?)\n"},
    {"WithASuffix", "timeouts:\n  connect_timeout: 5s\n",
     "weir.yaml:2:3: timeouts.connect_timeout: unknown key (did you mean 'connect'?)\n"},
    {"NothingNear", "breaker:\n  colour: red\n",
     "weir.yaml:2:3: breaker.colour: unknown key (known: enabled, wait_max)\n"},
    {"LimitsOfTheWholeFile", "limits: {rpm: 60}\ntpm: 5\n",
     "weir.yaml:1:10: limits.rpm: unknown key; limits of an account stand in upstreams[].limits, those of callers in "
     "keys[].limits and teams.*.limits, and such as have a name in tiers.*\n"
     "weir.yaml:2:1: tpm: unknown key; limits of an account stand in upstreams[].limits, those of callers in "
     "keys[].limits and teams.*.limits, and such as have a name in tiers.*\n"},
    {"InAListItem", "upstreams:\n  - name: a\n    base_url: http://127.0.0.1:1\n    apikey: x\n",
     "weir.yaml:4:5: upstreams[0].apikey: unknown key (did you mean 'api_key'?)\n"},
    {"InAFlowMap", "models: [{name: a, upstream: b, upstreams: b}]\n",
     "weir.yaml:1:20: models[0].upstream: unknown key (did you mean 'upstreams'?)\n"},
    {"InATier", "tiers:\n  small: {rmp: 5}\n", "weir.yaml:2:11: tiers.small.rmp: unknown key (did you mean 'rpm'?)\n"},
    {"InLimitsBesideATier", "teams:\n  search:\n    limits: {tpm: 5, tmp: 5}\n",
     "weir.yaml:3:22: teams.search.limits.tmp: unknown key (did you mean 'tpm'?)\n"},
    {"InARouteTarget", "models:\n  - name: a\n    upstreams: [{name: b, wieght: 2}]\n",
     "weir.yaml:3:27: models[0].upstreams[0].wieght: unknown key (did you mean 'weight'?)\n"},
    {"QuotedWithAQuestionMark", "\"?queue\": 1\n", "weir.yaml:1:1: ?queue: unknown key (did you mean 'queue'?)\n"},
};
INSTANTIATE_TEST_SUITE_P(UnknownKey, ConfigErrors, testing::ValuesIn(unknown_keys), name_of);

constexpr WrongConfig duplicate_keys[] = {
    {"TopLevel", "workers: 1\nworkers: 2\n", "weir.yaml:2:1: duplicate key 'workers'\n"},
    {"InASection", "queue:\n  wait_max: 1s\n  wait_max: 1s\n", "weir.yaml:3:3: duplicate key 'wait_max'\n"},
    {"InAFlowMap", "tiers: {a: {rpm: 1}, a: {rpm: 2}}\n", "weir.yaml:1:22: duplicate key 'a'\n"},
    {"QuotedOnce", "workers: 1\n\"workers\": 2\n", "weir.yaml:2:1: duplicate key 'workers'\n"},
    {"NameOfTwoUpstreams", "upstreams:\n  - {name: a, base_url: \"http://h\"}\n  - {name: a, base_url: \"http://h\"}\n",
     "weir.yaml:3:12: upstreams[1].name: is used twice\n"},
    {"NameOfTwoModels", "models:\n  - {name: m, upstreams: a}\n  - {name: m, upstreams: b}\n",
     "weir.yaml:3:12: models[1].name: is used twice\n"},
};
INSTANTIATE_TEST_SUITE_P(DuplicateKey, ConfigErrors, testing::ValuesIn(duplicate_keys), name_of);

constexpr WrongConfig wrong_types[] = {
    {"ValueForAFile", "hello\n", "weir.yaml:1:1: expected a map of settings, found a single value\n"},
    {"ListForAFile", "- listen\n", "weir.yaml:1:1: expected a map of settings, found a list\n"},
    {"ValueForASection", "queue: 5\n", "weir.yaml:1:8: queue: expected a map of settings, found a single value\n"},
    {"ListForASection", "queue: []\n", "weir.yaml:1:8: queue: expected a map of settings, found a list\n"},
    {"ListForADuration", "queue:\n  wait_max: [1s]\n",
     "weir.yaml:2:13: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found a list\n"},
    {"MapForAText", "state_file: {a: 1}\n", "weir.yaml:1:13: state_file: expected a text, found a map\n"},
    {"MapForASecret", "operator: {token: {a: 1}}\n",
     "weir.yaml:1:19: operator.token: expected a secret, best as \"${VARIABLE}\" or \"${file:/path}\", found a map\n"},
    {"MapForAList", "upstreams: {a: 1}\n", "weir.yaml:1:12: upstreams: expected a list, found a map\n"},
    {"WordForAList", "keys: alice\n", "weir.yaml:1:7: keys: expected a list, found a single value\n"},
    {"WordForAListItem", "keys: [alice]\n",
     "weir.yaml:1:8: keys[0]: expected a map of settings, found a single value\n"},
    {"EmptyListItem", "upstreams:\n  - ~\n", "weir.yaml:2:5: upstreams[0]: is empty\n"},
    {"ListForTiers", "tiers: [a]\n", "weir.yaml:1:8: tiers: expected a map of names to settings, found a list\n"},
    {"ListForHeaders", "upstreams:\n  - name: a\n    headers: [b]\n",
     "weir.yaml:3:14: upstreams[0].headers: expected a map of words to words, found a list\n"},
    {"MapForNames", "clients: {hosts: {a: 1}}\n",
     "weir.yaml:1:18: clients.hosts: expected a list of names, found a map\n"},
    {"NullForADuration", "queue:\n  wait_max: ~\n",
     "weir.yaml:2:13: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found nothing; leave the key out "
     "for the default\n"},
    {"WordForABoolean", "breaker: {enabled: maybe}\n",
     "weir.yaml:1:20: breaker.enabled: expected true or false, found 'maybe'\n"},
    {"WordForACount", "queue: {requests_max: many}\n",
     "weir.yaml:1:23: queue.requests_max: expected a whole number from 0 to 10000000, found 'many'\n"},
    {"ListForAKey", "? [a]\n: 1\nworkers: 1\n",
     "weir.yaml:1:3: a key must be a word, not a list or a map (in { } and [ ] an interpolation needs quotes: "
     "\"${X}\")\n"},
};
INSTANTIATE_TEST_SUITE_P(WrongType, ConfigErrors, testing::ValuesIn(wrong_types), name_of);

constexpr WrongConfig bad_units[] = {
    {"DurationWithoutAUnit", "queue: {wait_max: 10}\n",
     "weir.yaml:1:19: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found '10'; say the unit: 10s or "
     "10ms\n"},
    {"DurationInWords", "queue: {wait_max: 10 minutes}\n",
     "weir.yaml:1:19: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found '10 minutes'\n"},
    {"NegativeDuration", "queue: {wait_max: -1s}\n",
     "weir.yaml:1:19: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found '-1s'\n"},
    {"NoTimeForATimeout", "timeouts: {connect: 0s}\n",
     "weir.yaml:1:21: timeouts.connect: expected a duration from 1ms, found '0s' (for no limit write unlimited)\n"},
    {"UnlimitedWhereItMayNot", "shutdown: {drain: unlimited}\n",
     "weir.yaml:1:19: shutdown.drain: expected a duration such as 15s, 4m or 250ms, found 'unlimited'\n"},
    {"DurationBeyondItsRange", "shutdown: {drain: 25h}\n",
     "weir.yaml:1:19: shutdown.drain: expected a duration from 0s to 1d, found '25h'\n"},
    {"WindowBelowASecond", "tiers: {a: {window: 500ms}}\n",
     "weir.yaml:1:21: tiers.a.window: expected a duration from 1s to 1d, found '500ms'\n"},
    {"SliceLongerThanTheWindow", "tiers: {a: {window: 2s, pacing: 20s}}\n",
     "weir.yaml:1:33: tiers.a.pacing: expected at most the window of 2s, found 20s\n"},
    {"GuardLongerThanTheWindow", "tiers: {a: {guard: 3s, window: 2s}}\n",
     "weir.yaml:1:20: tiers.a.guard: expected at most the window of 2s, found 3s\n"},
    {"SizeWithoutAUnit", "limits: {body_bytes_max: 64}\n",
     "weir.yaml:1:26: limits.body_bytes_max: expected a size such as 64KiB or 256MiB, found '64'\n"},
    {"SizeWithAnUnknownUnit", "limits: {body_bytes_max: 64Mb}\n",
     "weir.yaml:1:26: limits.body_bytes_max: expected a size such as 64KiB or 256MiB, found '64Mb'\n"},
    {"SizeBelowItsRange", "limits: {header_bytes_max: 1B}\n",
     "weir.yaml:1:28: limits.header_bytes_max: expected a size from 1KiB to 16MiB, found '1B'\n"},
    {"LimitOfZero", "tiers: {a: {rpm: 0}}\n",
     "weir.yaml:1:18: tiers.a.rpm: expected a whole number from 1, or unlimited; found '0'\n"},
    {"LimitWithAnExponent", "tiers: {a: {tpm: 5e6}}\n",
     "weir.yaml:1:18: tiers.a.tpm: expected a whole number from 1, or unlimited; found '5e6'\n"},
    {"LimitWithAUnit", "tiers: {a: {tpm: 5M}}\n",
     "weir.yaml:1:18: tiers.a.tpm: expected a whole number from 1, or unlimited; found '5M'\n"},
};
INSTANTIATE_TEST_SUITE_P(BadUnit, ConfigErrors, testing::ValuesIn(bad_units), name_of);

TEST(ConfigErrors, ShowAllProblemsAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(read("workrs: 2\n"
                 "queue:\n"
                 "  wait_max: 10\n"
                 "listen: 8080\n"
                 "queue: {}\n"
                 "log: {level: loud, format: xml}\n")
                .problems,
            "weir.yaml:1:1: workrs: unknown key (did you mean 'workers'?)\n"
            "weir.yaml:3:13: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found '10'; say the unit: "
            "10s or 10ms\n"
            "weir.yaml:4:9: listen: expected host:port, found '8080'; write localhost:8080\n"
            "weir.yaml:5:1: duplicate key 'queue'\n"
            "weir.yaml:6:14: log.level: expected one of trace, debug, info, warn, error; found 'loud'\n"
            "weir.yaml:6:28: log.format: expected one of auto, text, json; found 'xml'\n");
}

TEST(ConfigErrors, ShowProblemsOfTheFileOfVariablesAndOfReferencesTogether) {
  const World world = with_config(
      "queue: {wait_max: 10}\nmodels:\n  - {name: a, upstreams: arc}\nupstreams:\n  - {name: ark, provider: "
      "volcengine-ark}\n",
      {{"WEIR_WORKERS", "none"}});
  EXPECT_EQ(refusal(world),
            "/etc/weir/weir.yaml:1:19: queue.wait_max: expected a duration such as 15s, 4m or 250ms, found '10'; say "
            "the unit: 10s or 10ms\n"
            "/etc/weir/weir.yaml:3:26: no upstream is called 'arc' (did you mean 'ark'?)\n"
            "WEIR_WORKERS: expected a whole number from 1 to 1024, or auto; found 'none'\n");
}

TEST(ConfigErrors, SayThatAMissingFileCannotBeRead) {
  const World world{{{"WEIR_CONFIG", "/no/such.yaml"}}, {}};
  EXPECT_EQ(refusal(world),
            "/no/such.yaml: cannot be read; check the path and the permissions (WEIR_CONFIG names it)\n");
}

TEST(ConfigErrors, SayThatADirectoryCannotBeRead) {
  Overrides overrides;
  overrides.config = testing::TempDir();
  Environment environment;
  environment.variable = [](const std::string&) { return std::nullopt; };
  environment.read_file = process_environment().read_file;
  const auto result = ConfigSource(overrides, environment).load();
  ASSERT_TRUE(std::holds_alternative<Problems>(result));
  EXPECT_EQ(to_string(std::get<Problems>(result)),
            testing::TempDir() + ": cannot be read; check the path and the permissions\n");
}

TEST(ConfigErrors, AnEmptyFileConfiguresNothing) {
  for (const char* text : {"", "\n", "# nothing\n", "---\n", "{}\n", "~\n", "\xEF\xBB\xBF# nothing\n"}) {
    EXPECT_EQ(read(text).problems, "") << text;
    EXPECT_NE(refusal(with_config(text)).find("no upstream is configured"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace weir::app
