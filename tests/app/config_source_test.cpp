// File, variables and flags: which wins, what starts weir without a file, and that a reload sees what a restart would.
#include "app/config_source.hpp"

#include <gtest/gtest.h>

#include "app/config_support.hpp"
#include "app/machine.hpp"

namespace weir::app {
namespace {

using Optional = std::optional<std::uint64_t>;

TEST(ConfigSource, StartsFromOneLine) {
  Overrides flags;
  flags.upstream = "https://api.deepseek.com";
  flags.rpm = "30000";
  flags.tpm = "5000000";
  const Loaded loaded = load({}, flags);
  ASSERT_EQ(loaded.settings->upstreams.size(), 1u);
  const proxy::Upstream& upstream = first_upstream(loaded);
  EXPECT_EQ(upstream.name, "deepseek");
  EXPECT_EQ(upstream.provider, "deepseek");
  EXPECT_EQ(upstream.authority, "api.deepseek.com");
  EXPECT_TRUE(upstream.tls);
  EXPECT_EQ(upstream.limits.rpm, Optional(30'000));
  EXPECT_EQ(upstream.limits.tpm, Optional(5'000'000));
  EXPECT_EQ(loaded.settings->clients.mode, proxy::ClientMode::pass_through);
  EXPECT_EQ(to_string(loaded.config.listen.at(0)), "localhost:8080");
}

TEST(ConfigSource, OneLineTakesTheUsualKeyOfTheProvider) {
  Overrides flags;
  flags.upstream = "https://api.deepseek.com";
  EXPECT_EQ(first_upstream(load({{{"DEEPSEEK_API_KEY", "sk-d"}}, {}}, flags)).api_key, "sk-d");
  EXPECT_EQ(
      first_upstream(load({{{"DEEPSEEK_API_KEY", "sk-d"}, {"WEIR_UPSTREAM_API_KEY", "sk-w"}}, {}}, flags)).api_key,
      "sk-w");
  EXPECT_EQ(first_upstream(load({{{"OPENAI_API_KEY", "sk-o"}}, {}}, flags)).api_key, "");
}

TEST(ConfigSource, AnUnknownHostIsAnOpenAiCompatibleServer) {
  Overrides flags;
  flags.upstream = "http://127.0.0.1:11434/v1";
  const Loaded loaded = load({{{"OPENAI_API_KEY", "sk-o"}}, {}}, flags);
  EXPECT_EQ(first_upstream(loaded).name, "default");
  EXPECT_EQ(first_upstream(loaded).provider, "generic");
  EXPECT_EQ(first_upstream(loaded).api_key, "");
}

std::string upstreams_of(const Loaded& loaded) {
  std::string names;
  for (const auto& upstream : loaded.settings->upstreams) names += upstream.name + "=" + upstream.api_key + " ";
  return names;
}

TEST(ConfigSource, KeysInTheEnvironmentPickTheProviders) {
  const std::pair<std::map<std::string, std::string>, const char*> cases[] = {
      {{{"DEEPSEEK_API_KEY", "d"}}, "deepseek=d "},
      {{{"OPENAI_API_KEY", "o"}}, "openai=o "},
      {{{"ARK_API_KEY", "a"}}, "volcengine-ark=a "},
      {{{"ARK_API_KEY", "a"}, {"OPENAI_API_KEY", "o"}, {"DEEPSEEK_API_KEY", "d"}},
       "deepseek=d openai=o volcengine-ark=a "},
      {{{"ARK_API_KEY", "a"}, {"OPENAI_API_KEY", ""}}, "volcengine-ark=a "},
      {{{"ARK_API_KEY", "a"}, {"ANTHROPIC_API_KEY", "x"}, {"OPENROUTER_API_KEY", "y"}}, "volcengine-ark=a "},
  };
  for (const auto& [variables, names] : cases) {
    const Loaded loaded = load({variables, {}});
    EXPECT_EQ(upstreams_of(loaded), names);
    EXPECT_EQ(loaded.settings->clients.mode, proxy::ClientMode::open);
  }
}

TEST(ConfigSource, UpstreamsOfTheFileWinOverKeysInTheEnvironment) {
  EXPECT_EQ(upstreams_of(load(with_config("upstreams: [{name: a, provider: openai}]\n", {{"DEEPSEEK_API_KEY", "d"}}))),
            "a= ");
}

TEST(ConfigSource, AFileWithoutUpstreamsLeavesThemToTheEnvironment) {
  EXPECT_EQ(upstreams_of(load(with_config("workers: 2\n", {{"DEEPSEEK_API_KEY", "d"}}))), "deepseek=d ");
}

TEST(ConfigSource, OpenAiBaseUrlIsNeverAnUpstream) {
  EXPECT_NE(refusal({{{"OPENAI_BASE_URL", "http://localhost:8080/v1"}}, {}}).find("no upstream is configured"),
            std::string::npos);
  const Loaded loaded = load({{{"OPENAI_BASE_URL", "http://localhost:8080/v1"}, {"OPENAI_API_KEY", "o"}}, {}});
  EXPECT_EQ(first_upstream(loaded).authority, "api.openai.com");
}

TEST(ConfigSource, NothingConfiguredSaysWhatToDo) {
  const std::string message = refusal({});
  for (const char* way : {"weir serve --upstream https://api.deepseek.com --rpm 30000 --tpm 5000000",
                          "DEEPSEEK_API_KEY", "OPENAI_API_KEY", "ARK_API_KEY", "--config weir.yaml", "weir simulate"}) {
    EXPECT_NE(message.find(way), std::string::npos) << way << "\n" << message;
  }
  EXPECT_EQ(message.find("mode"), std::string::npos) << "one problem, not its consequences: " << message;
}

constexpr const char* file_with_everything =
    "listen: 127.0.0.1:1001\noperator: {listen: 127.0.0.1:1002, token: from-file}\nworkers: 3\nlog: {format: text, "
    "level: warn}\n"
    "clients: {open: loopback}\nupstreams: [{name: a, provider: openai, limits: {rpm: 11, tpm: 12, concurrency: 13}, "
    "share: 0.1}]\n";

TEST(ConfigSource, VariablesWinOverTheFile) {
  const Loaded loaded = load(with_config(file_with_everything, {{"WEIR_LISTEN", "127.0.0.1:2001"},
                                                                {"WEIR_OPERATOR_LISTEN", "127.0.0.1:2002"},
                                                                {"WEIR_OPERATOR_TOKEN", "from-variable"},
                                                                {"WEIR_WORKERS", "4"},
                                                                {"WEIR_LOG_FORMAT", "json"},
                                                                {"WEIR_LOG_LEVEL", "debug"},
                                                                {"WEIR_CLIENTS_OPEN", "anywhere"},
                                                                {"WEIR_RPM", "10"},
                                                                {"WEIR_TPM", "20"},
                                                                {"WEIR_CONCURRENCY", "30"},
                                                                {"WEIR_SHARE", "0.2"}}));
  EXPECT_EQ(to_string(loaded.config.listen.at(0)), "127.0.0.1:2001");
  EXPECT_EQ(to_string(loaded.config.operators.listen.at(0)), "127.0.0.1:2002");
  EXPECT_EQ(loaded.settings->operator_token, "from-variable");
  EXPECT_EQ(loaded.config.workers, 4u);
  EXPECT_EQ(loaded.config.log.format, LogFormat::json);
  EXPECT_EQ(loaded.config.log.level, "debug");
  EXPECT_TRUE(loaded.settings->clients.open_anywhere);
  EXPECT_EQ(first_upstream(loaded).limits.rpm, Optional(10));
  EXPECT_EQ(first_upstream(loaded).limits.tpm, Optional(20));
  EXPECT_EQ(first_upstream(loaded).limits.concurrency, Optional(30));
  EXPECT_EQ(first_upstream(loaded).share, 0.2);
}

TEST(ConfigSource, FlagsWinOverVariables) {
  World world = with_config("workers: 9\n", {{"WEIR_LISTEN", "127.0.0.1:2001"},
                                             {"WEIR_OPERATOR_LISTEN", "127.0.0.1:2002"},
                                             {"WEIR_WORKERS", "4"},
                                             {"WEIR_UPSTREAM", "https://api.openai.com"},
                                             {"WEIR_RPM", "10"},
                                             {"WEIR_TPM", "20"},
                                             {"WEIR_CONCURRENCY", "30"},
                                             {"WEIR_SHARE", "0.2"}});
  world.files["/other.yaml"] = "log: {level: error}\n";
  Overrides flags;
  flags.config = "/other.yaml";
  flags.listen = "127.0.0.1:3001";
  flags.operator_listen = "127.0.0.1:3002";
  flags.workers = "5";
  flags.upstream = "https://api.deepseek.com";
  flags.rpm = "100";
  flags.tpm = "200";
  flags.concurrency = "300";
  flags.share = "0.3";
  const Loaded loaded = load(world, flags);
  EXPECT_EQ(loaded.config.log.level, "error");
  EXPECT_EQ(to_string(loaded.config.listen.at(0)), "127.0.0.1:3001");
  EXPECT_EQ(to_string(loaded.config.operators.listen.at(0)), "127.0.0.1:3002");
  EXPECT_EQ(loaded.config.workers, 5u);
  EXPECT_EQ(first_upstream(loaded).name, "deepseek");
  EXPECT_EQ(first_upstream(loaded).limits.rpm, Optional(100));
  EXPECT_EQ(first_upstream(loaded).limits.tpm, Optional(200));
  EXPECT_EQ(first_upstream(loaded).limits.concurrency, Optional(300));
  EXPECT_EQ(first_upstream(loaded).share, 0.3);
}

TEST(ConfigSource, EmptyVariablesCountAsNotSet) {
  const Loaded loaded =
      load(with_config(file_with_everything,
                       {{"WEIR_LISTEN", ""}, {"WEIR_WORKERS", ""}, {"WEIR_RPM", ""}, {"WEIR_OPERATOR_TOKEN", ""}}));
  EXPECT_EQ(to_string(loaded.config.listen.at(0)), "127.0.0.1:1001");
  EXPECT_EQ(loaded.config.workers, 3u);
  EXPECT_EQ(first_upstream(loaded).limits.rpm, Optional(11));
  EXPECT_EQ(loaded.settings->operator_token, "from-file");
  EXPECT_EQ(upstreams_of(load({{{"WEIR_CONFIG", ""}, {"OPENAI_API_KEY", "o"}}, {}})), "openai=o ");
}

// The bug: `auto`, as the file says it, was refused.
TEST(ConfigSource, WorkersByVariableMayBeAuto) {
  World world =
      with_config("workers: 7\nupstreams: [{name: a, base_url: \"http://127.0.0.1:1\"}]\n", {{"WEIR_WORKERS", "auto"}});
  EXPECT_EQ(load(world).config.workers, default_workers());
}

TEST(ConfigSource, SeveralListenersStandWithCommas) {
  const Loaded loaded = load({{{"WEIR_UPSTREAM", "http://h"}, {"WEIR_LISTEN", "127.0.0.1:1,[::1]:2"}}, {}});
  ASSERT_EQ(loaded.config.listen.size(), 2u);
  EXPECT_EQ(to_string(loaded.config.listen[1]), "[::1]:2");
}

TEST(ConfigSource, UnlimitedLiftsALimitOfTheFile) {
  EXPECT_EQ(first_upstream(load(with_config(file_with_everything, {{"WEIR_RPM", "unlimited"}}))).limits.rpm,
            std::nullopt);
}

TEST(ConfigSource, SecretsMayStandInFiles) {
  const std::map<std::string, std::string> files{{"/run/token", "t0ken\n"}, {"/run/key", "sk-file\r\n"}};
  World world{{{"WEIR_UPSTREAM", "http://127.0.0.1:1"},
               {"WEIR_OPERATOR_TOKEN_FILE", "/run/token"},
               {"WEIR_UPSTREAM_API_KEY_FILE", "/run/key"}},
              files};
  EXPECT_EQ(load(world).settings->operator_token, "t0ken");
  EXPECT_EQ(first_upstream(load(world)).api_key, "sk-file");
  world.variables["WEIR_UPSTREAM_API_KEY"] = "sk-variable";
  EXPECT_EQ(first_upstream(load(world)).api_key, "sk-variable");
  EXPECT_EQ(upstreams_of(load({{{"DEEPSEEK_API_KEY_FILE", "/run/key"}}, files})), "deepseek=sk-file ");
}

struct BadOverride {
  const char* variable;
  const char* value;
  const char* problem;
};

TEST(ConfigSource, NamesTheVariableThatIsWrong) {
  const BadOverride cases[] = {
      {"WEIR_LISTEN", "8080", "WEIR_LISTEN: expected host:port, found '8080'; write localhost:8080\n"},
      {"WEIR_LISTEN", ",", "WEIR_LISTEN: expected host:port such as localhost:8080, found ''\n"},
      {"WEIR_RPM", "0", "WEIR_RPM: expected a whole number from 1, or unlimited; found '0'\n"},
      {"WEIR_TPM", "5M", "WEIR_TPM: expected a whole number from 1, or unlimited; found '5M'\n"},
      {"WEIR_SHARE", "2", "WEIR_SHARE: expected a part such as 0.25, above 0 and up to 1; found '2'\n"},
      {"WEIR_WORKERS", "0", "WEIR_WORKERS: expected a whole number from 1 to 1024, or auto; found '0'\n"},
      {"WEIR_CLIENTS_OPEN", "yes", "WEIR_CLIENTS_OPEN: expected anywhere or loopback, found 'yes'\n"},
      {"WEIR_LOG_LEVEL", "inof", "WEIR_LOG_LEVEL: 'inof' is not one of its values (did you mean 'info'?)\n"},
      {"WEIR_LOG_FORMAT", "xml", "WEIR_LOG_FORMAT: 'xml' is not one of its values (known: auto, text, json)\n"},
      {"WEIR_OPERATOR_TOKEN", "a b",
       "WEIR_OPERATOR_TOKEN: the secret has a space, a line end or a control character in it\n"},
      {"WEIR_UPSTREAM_API_KEY", "sk\r\nx: y",
       "WEIR_UPSTREAM_API_KEY: the secret has a space, a line end or a control character in it\n"},
      {"WEIR_UPSTREAM_API_KEY_FILE", "/none",
       "WEIR_UPSTREAM_API_KEY: the file '/none' of WEIR_UPSTREAM_API_KEY_FILE cannot be read\n"},
  };
  for (const auto& [variable, value, problem] : cases) {
    EXPECT_EQ(refusal({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}, {variable, value}}, {}}), problem);
  }
  EXPECT_EQ(refusal({{{"WEIR_UPSTREAM", "localhost:1"}}, {}}),
            "WEIR_UPSTREAM: expected a URL with its scheme, such as https://localhost:1\n");
}

// The bug: a wrong address hid wrong limits until the next start.
TEST(ConfigSource, TellsOfAllThatIsWrongAtOnce) {
  EXPECT_EQ(
      refusal({{{"WEIR_UPSTREAM", "localhost:1"}, {"WEIR_RPM", "x"}, {"WEIR_SHARE", "2"}, {"WEIR_WORKERS", "0"}}, {}}),
      "WEIR_RPM: expected a whole number from 1, or unlimited; found 'x'\n"
      "WEIR_SHARE: expected a part such as 0.25, above 0 and up to 1; found '2'\n"
      "WEIR_UPSTREAM: expected a URL with its scheme, such as https://localhost:1\n"
      "WEIR_WORKERS: expected a whole number from 1 to 1024, or auto; found '0'\n");
}

// The bug: the upstream's place was named, be it a flag that was right.
TEST(ConfigSource, AShareThatIsTooSmallIsThatOfItsFlagOrVariable) {
  const std::string fault = "the share 0.001 of rpm: 60 is less than one, so nothing could be sent\n";
  Overrides flags;
  flags.upstream = "http://127.0.0.1:1";
  flags.rpm = "60";
  EXPECT_EQ(refusal({{{"WEIR_SHARE", "0.001"}}, {}}, flags), "WEIR_SHARE: " + fault);
  flags.share = "0.001";
  EXPECT_EQ(refusal({}, flags), "--share: " + fault);
}

TEST(ConfigSource, NamesTheFlagThatIsWrong) {
  Overrides flags;
  flags.upstream = "http://127.0.0.1:1";
  flags.rpm = "many";
  EXPECT_EQ(refusal({}, flags), "--rpm: expected a whole number from 1, or unlimited; found 'many'\n");
}

TEST(ConfigSource, LimitsOfOneLineNeedOneUpstream) {
  EXPECT_EQ(refusal({{{"DEEPSEEK_API_KEY", "d"}, {"OPENAI_API_KEY", "o"}, {"WEIR_RPM", "5"}}, {}}),
            "WEIR_RPM: there are 2 upstreams; set the limits of each in a configuration file\n");
  const Loaded loaded = load({{{"DEEPSEEK_API_KEY", "d"}, {"OPENAI_API_KEY", "o"}, {"WEIR_SHARE", "0.5"}}, {}});
  EXPECT_EQ(loaded.settings->upstreams.at(0).share, 0.5);
  EXPECT_EQ(loaded.settings->upstreams.at(1).share, 0.5);
}

TEST(ConfigSource, AnUpstreamBesideThoseOfTheFileIsRefused) {
  EXPECT_EQ(refusal(with_config(file_with_everything, {{"WEIR_UPSTREAM", "http://h"}})),
            "WEIR_UPSTREAM: the configuration file has upstreams already; name this one there, or leave it out\n");
}

TEST(ConfigSource, AReloadSeesWhatARestartWould) {
  std::string text = "workers: 1\nupstreams: [{name: a, provider: openai}]\n";
  Environment environment;
  environment.variable = [](const std::string&) { return std::nullopt; };
  environment.read_file = [&](const std::string&) { return std::optional(text); };
  Overrides flags;
  flags.config = "weir.yaml";
  const ConfigSource source(flags, environment);
  EXPECT_EQ(std::get<Loaded>(source.load()).config.workers, 1u);
  text = "workers: 2\nupstreams: [{name: b, provider: openai}]\n";
  EXPECT_EQ(first_upstream(std::get<Loaded>(source.load())).name, "b");
  text = "workers: 0\n";
  EXPECT_TRUE(std::holds_alternative<Problems>(source.load()));
  EXPECT_EQ(source.path(), "weir.yaml");
}

TEST(ConfigSource, WarnsOfWhatIsHardlyMeant) {
  EXPECT_TRUE(load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}, {"WEIR_UPSTREAM_API_KEY", "k"}}, {}}).warnings.empty());
  EXPECT_EQ(load({{{"WEIR_UPSTREAM", "http://10.0.0.1"}, {"WEIR_UPSTREAM_API_KEY", "k"}}, {}}).warnings,
            std::vector<std::string>{"upstream default: its key travels over plain http"});
  EXPECT_EQ(load(with_config("upstreams: [{name: a, provider: openai, verify_tls: false}]\n")).warnings,
            std::vector<std::string>{"upstream a: verify_tls is off; anyone on the way can read its key"});
  EXPECT_EQ(
      load({{{"OPENAI_API_KEY", "k"}, {"WEIR_LISTEN", "0.0.0.0:1"}, {"WEIR_CLIENTS_OPEN", "anywhere"}}, {}}).warnings,
      std::vector<std::string>{"clients.open is anywhere: whoever can connect spends the provider key"});
}

}  // namespace
}  // namespace weir::app
