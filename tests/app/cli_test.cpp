// The command line, run in this process: exit status 0, 1 or 2, what goes to standard output and what to standard
// error.
#include "app/cli.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "app/config_support.hpp"
#include "app/environment.hpp"
#include "app/key_maker.hpp"
#include "support/loopback_port.hpp"
#include "support/scripted_upstream.hpp"

namespace weir::app {
namespace {

struct Outcome {
  int status = -1;
  std::string out, err;
};

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    // What the person who runs the tests has set is not part of them.
    for (const std::string& name : process_environment().names) {
      if (name.starts_with("WEIR_")) set(name, nullptr);
    }
    for (const char* name : {"DEEPSEEK_API_KEY", "OPENAI_API_KEY", "ARK_API_KEY", "OPENAI_BASE_URL"})
      set(name, nullptr);
  }
  ~CommandLine() override {
    for (const auto& [name, value] : before_) {
      if (value)
        ::setenv(name.c_str(), value->c_str(), 1);
      else
        ::unsetenv(name.c_str());
    }
    for (const std::string& path : files_) std::remove(path.c_str());
  }

  void set(const std::string& name, const char* value) {
    const char* old = std::getenv(name.c_str());
    before_.emplace(name, old ? std::optional<std::string>(old) : std::nullopt);
    if (value)
      ::setenv(name.c_str(), value, 1);
    else
      ::unsetenv(name.c_str());
  }

  std::string file(const std::string& text) {
    const std::string path = testing::TempDir() + "weir-cli-test-" + std::to_string(files_.size()) + "-" +
                             std::to_string(::getpid()) + ".yaml";
    std::ofstream(path) << text;
    files_.push_back(path);
    return path;
  }

  static Outcome run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), "weir");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    std::ostringstream out, err;
    std::istringstream in(input);
    auto* const cout = std::cout.rdbuf(out.rdbuf());
    auto* const cerr = std::cerr.rdbuf(err.rdbuf());
    auto* const cin = std::cin.rdbuf(in.rdbuf());
    Outcome outcome;
    outcome.status = run_command_line(static_cast<int>(argv.size()), argv.data());
    std::cout.rdbuf(cout);
    std::cerr.rdbuf(cerr);
    std::cin.rdbuf(cin);
    outcome.out = out.str();
    outcome.err = err.str();
    return outcome;
  }

 private:
  std::map<std::string, std::optional<std::string>> before_;
  std::vector<std::string> files_;
};

TEST_F(CommandLine, WrongUseEndsWithTwoAndSaysSo) {
  const std::vector<std::vector<std::string>> cases = {{},
                                                       {"sevre"},
                                                       {"serve", "--no-such-flag"},
                                                       {"serve", "--config"},
                                                       {"serve", "extra"},
                                                       {"check", "--rpm"},
                                                       {"simulate", "--limiter", "guess"},
                                                       {"simulate", "--rpm", "many"},
                                                       {"version", "--verbose"}};
  for (const auto& arguments : cases) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(arguments);
    EXPECT_FALSE(outcome.err.empty()) << testing::PrintToString(arguments);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(arguments);
  }
}

TEST_F(CommandLine, AWordThatIsNotExpectedIsToldWithWhatWasMeant) {
  EXPECT_EQ(run({"serve", "--uptsream", "http://127.0.0.1:1"}).err,
            "weir serve: there is no flag '--uptsream' (did you mean '--upstream'?); weir serve --help lists them\n");
  EXPECT_EQ(
      run({"simulate", "--limitr=fixed"}).err,
      "weir simulate: there is no flag '--limitr' (did you mean '--limiter'?); weir simulate --help lists them\n");
  for (const std::string flag : {"-v", "--verbose"}) {
    EXPECT_EQ(run({"serve", flag}).err, "weir serve: there is no flag '" + flag +
                                            "'; how much is logged is said by log.level, or WEIR_LOG_LEVEL=debug\n");
  }
  EXPECT_EQ(run({"check", "weir.yaml"}).err,
            "weir check: nothing is expected here: 'weir.yaml'; a configuration file is named by --config\n");
  EXPECT_EQ(run({"health", "127.0.0.1:8081"}).err,
            "weir health: nothing is expected here: '127.0.0.1:8081'; weir health --help lists what is\n");
}

TEST_F(CommandLine, CountReadsAFileOrTheStandardInput) {
  const std::string text = "The quick brown fox jumps over the lazy dog.\n";
  const Outcome of_file = run({"count", "--model", "gpt-4o", file(text)});
  EXPECT_EQ(of_file.status, 0) << of_file.err;
  EXPECT_NE(of_file.out.find("counted     text, 45 bytes\n"), std::string::npos) << of_file.out;
  EXPECT_EQ(run({"count", "--model", "gpt-4o"}, text).out, of_file.out);
  EXPECT_EQ(run({"count", "--model", "gpt-4o", "-"}, text).out, of_file.out);
}

TEST_F(CommandLine, CountSaysWhichFileItCannotRead) {
  const std::string folder = testing::TempDir();
  for (const auto& [path, why] : {std::pair<std::string, const char*>{folder + "no-such-file", "No such file"},
                                  std::pair<std::string, const char*>{folder, "Is a directory"}}) {
    const Outcome outcome = run({"count", path});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("weir count: " + path + ": " + why), std::string::npos) << outcome.err;
  }
}

TEST_F(CommandLine, HelpNamesEverySubcommandAndFlag) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* word : {"serve", "check", "count", "simulate", "health", "new-key", "hash-key", "version"})
    EXPECT_NE(help.out.find(word), std::string::npos) << word;
  for (const char* command : {"serve", "check"}) {
    const Outcome flags = run({command, "--help"});
    EXPECT_EQ(flags.status, 0);
    for (const char* flag : {"--config", "--listen", "--operator-listen", "--upstream", "--rpm", "--tpm",
                             "--concurrency", "--share", "--workers"}) {
      EXPECT_NE(flags.out.find(flag), std::string::npos) << command << " " << flag;
    }
  }
}

TEST_F(CommandLine, AMistypedCommandIsNamedAndAnotherOneSuggested) {
  const Outcome outcome = run({"srve", "--listen", "localhost:1"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, "weir: there is no command 'srve' (did you mean 'serve'?); weir --help lists them\n");
}

TEST_F(CommandLine, WatchingNeedsAFileAndASwitch) {
  EXPECT_EQ(run({"serve", "--upstream", "http://127.0.0.1:1", "--watch"}).status, 2);
  set("WEIR_WATCH", "maybe");
  EXPECT_EQ(run({"serve", "--upstream", "http://127.0.0.1:1"}).err, "weir serve: WEIR_WATCH: expected on or off\n");
  for (const std::string command : {"serve", "check"}) {
    EXPECT_EQ(run({command, "--upstream", "http://127.0.0.1:1", "--rpm", "x"}).err,
              "weir " + command +
                  ": WEIR_WATCH: expected on or off\n"
                  "--rpm: expected a whole number from 1, or unlimited; found 'x'\n");
  }
}

// The bug: weir check said yes to what weir serve ended with.
TEST_F(CommandLine, CheckSaysWhatKeepsServeFromWatching) {
  set("WEIR_WATCH", "true");
  const Outcome no_switch = run({"check", "--upstream", "http://127.0.0.1:1"});
  EXPECT_EQ(no_switch.status, 2);
  EXPECT_EQ(no_switch.err, "weir check: WEIR_WATCH: expected on or off\n");
  set("WEIR_WATCH", "on");
  EXPECT_EQ(run({"check", "--upstream", "http://127.0.0.1:1"}).status, 2) << "there is no file to watch";
  EXPECT_EQ(run({"check", "--config", file("upstreams: [{name: a, base_url: \"http://127.0.0.1:1\"}]\n")}).status, 0);
}

TEST_F(CommandLine, HealthSaysThatItGuessesWhereToAsk) {
  for (const std::string& path : {std::string("/no/such/weir.yaml"), file("version: [\n")}) {
    const Outcome outcome = run({"health", "--config", path});
    EXPECT_NE(outcome.err.find("weir health: " + path), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("127.0.0.1:8081 is asked, where operators listen unless said otherwise"),
              std::string::npos)
        << outcome.err;
    const std::string free = "127.0.0.1:" + std::to_string(test::refusing_port());
    EXPECT_EQ(run({"health", "--config", path, "--operator-listen", free}).err.find("is asked"), std::string::npos);
  }
  const std::string elsewhere =
      file("operator: {listen: \"127.0.0.1:" + std::to_string(test::refusing_port()) + "\"}\nbogus: 1\n");
  EXPECT_EQ(run({"health", "--config", elsewhere}).err.find("is asked"), std::string::npos) << "it says where";
}

TEST_F(CommandLine, TheSimulatorRefusesFiguresThatMakeNoSense) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--rpm", "-1"},   {"--output-tokens", "-5"},      {"--workers", "0"}, {"--burst", "-1"},
      {"--burst", "0"},  {"--tokens-per-second", "nan"}, {"--window", "0s"}, {"--ttft", "200"},
      {"--tpm", "1e3x"}, {"--concurrency", "-2"}};
  for (std::vector<std::string> flags : wrong) {
    flags.insert(flags.begin(), "simulate");
    const Outcome outcome = run(flags);
    EXPECT_EQ(outcome.status, 2) << flags[1] << " " << flags[2];
    EXPECT_NE(outcome.err.find(flags[1]), std::string::npos) << outcome.err;
  }
  EXPECT_NE(run({"simulate", "--ttft", "200"}).err.find("200ms"), std::string::npos);
}

TEST_F(CommandLine, VersionIsOneLine) {
  EXPECT_EQ(run({"--version"}).out, run({"version"}).out);
  const Outcome outcome = run({"version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "weir " WEIR_VERSION "\n");
}

TEST_F(CommandLine, HashKeyReadsTheKeyFromStandardInput) {
  EXPECT_EQ(run({"hash-key"}, "abc\n").out, hash_key("abc") + "\n");
  EXPECT_EQ(run({"hash-key"}, "abc\r\n").out, hash_key("abc") + "\n");
  EXPECT_EQ(run({"hash-key"}, "abc").out, hash_key("abc") + "\n");
  EXPECT_EQ(run({"hash-key", "abc"}).out, hash_key("abc") + "\n");
  const Outcome nothing = run({"hash-key"}, "\n");
  EXPECT_EQ(nothing.status, 2);
  EXPECT_EQ(nothing.out, "");
}

TEST_F(CommandLine, NewKeyPrintsTheSecretOnceAndTheYamlToPaste) {
  const Outcome outcome = run({"new-key", "--name", "bob"});
  EXPECT_EQ(outcome.status, 0);
  const std::string secret = outcome.out.substr(0, outcome.out.find('\n'));
  EXPECT_TRUE(secret.starts_with("sk-weir-")) << outcome.out;
  EXPECT_EQ(outcome.out.find(secret, 1), std::string::npos) << "printed twice";
  const Config config = config_of(outcome.out.substr(outcome.out.find('\n')));
  ASSERT_EQ(config.keys.size(), 1u);
  EXPECT_EQ(config.keys[0].name, "bob");
  EXPECT_NE(outcome.out.find(hash_key(secret)), std::string::npos);
}

TEST_F(CommandLine, NewKeyRefusesANameThatTheConfigurationWould) {
  const Outcome outcome = run({"new-key", "--name", "a, hash: b"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(CommandLine, CheckPrintsWhatAFileResolvesTo) {
  set("WEIR_TEST_KEY", "sk-secret-secret-9876");
  const Outcome outcome =
      run({"check", "--config", file("upstreams: [{name: a, provider: openai, api_key: \"${WEIR_TEST_KEY}\"}]\n"),
           "--rpm", "10"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("limits: {rpm: 10}"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("api_key: ****9876"), std::string::npos) << outcome.out;
  EXPECT_EQ((outcome.out + outcome.err).find("secret"), std::string::npos) << outcome.out;
}

TEST_F(CommandLine, CheckOfABadFileEndsWithTwoAndAllItsProblems) {
  const std::string path = file("workrs: 2\nqueue: {wait_max: 10}\nupstreams: [{name: a, provider: openai}]\n");
  const Outcome outcome = run({"check", "--config", path});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find(path + ":1:1: workrs: unknown key (did you mean 'workers'?)\n"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find(path + ":2:19: queue.wait_max: "), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, CheckOfAGoodFileSaysNothingBesideIt) {
  const Outcome outcome = run({"check", "--config", file("upstreams: [{name: a, provider: openai, api_key: k}]\n")});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(CommandLine, CheckReadsTheFileThatTheVariableNames) {
  set("WEIR_CONFIG", file("upstreams: [{name: from-variable, provider: openai}]\n").c_str());
  EXPECT_NE(run({"check"}).out.find("name: from-variable"), std::string::npos);
}

TEST_F(CommandLine, CheckAndServeWithoutAnythingConfiguredSayWhatToDo) {
  for (const char* command : {"check", "serve"}) {
    const Outcome outcome = run({command});
    EXPECT_EQ(outcome.status, 2) << command;
    EXPECT_NE(outcome.err.find("no upstream is configured"), std::string::npos) << outcome.err;
  }
}

TEST_F(CommandLine, ServeOfABadFileEndsWithTwo) {
  const Outcome outcome = run({"serve", "--config", file("queue: [\n")});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("invalid YAML"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, ServeEndsWithTwoWhereItsStateCannotBeKept) {
  const std::string folder = testing::TempDir();
  const std::pair<std::string, std::string> cases[] = {
      {folder + "not-there/state", "there is no folder '" + folder + "not-there'"},
      {folder, "'" + folder + "' is a folder"},
  };
  for (const auto& [state, why] : cases) {
    const std::string path =
        file("upstreams: [{name: a, base_url: \"http://127.0.0.1:1\"}]\nstate_file: " + state + "\n");
    const Outcome served = run({"serve", "--config", path});
    EXPECT_EQ(served.status, 2) << state;
    EXPECT_NE(served.err.find(path + ":2:13: state_file: " + why), std::string::npos) << served.err;
    const Outcome checked = run({"check", "--config", path});
    EXPECT_EQ(checked.status, 0) << checked.err;
    EXPECT_NE(checked.out.find("# warning: state_file: " + why), std::string::npos) << checked.out;
  }
}

TEST_F(CommandLine, ServeWithACertificateThatIsNoneEndsWithTwoAsCheckDoes) {
  const std::string garbage = file("hello\n");
  const std::string path = file("clients: {tls: {certificate: " + garbage + ", key: " + garbage +
                                "}}\nupstreams: [{name: a, base_url: \"http://127.0.0.1:1\"}]\n");
  for (const char* command : {"serve", "check"}) {
    const Outcome outcome = run({command, "--config", path});
    EXPECT_EQ(outcome.status, 2) << command;
    EXPECT_TRUE(outcome.err.starts_with(path + ":1:11: clients.tls: TLS: cannot use " + garbage)) << outcome.err;
  }
}

TEST_F(CommandLine, ServeOnABusyPortEndsWithOneAndNamesTheFlag) {
  const test::LoopbackPort busy;
  const std::string address = "127.0.0.1:" + std::to_string(busy.port());
  const Outcome clients = run({"serve", "--upstream", "http://127.0.0.1:1", "--workers", "1", "--listen", address,
                               "--operator-listen", "127.0.0.1:0"});
  EXPECT_EQ(clients.status, 1);
  EXPECT_NE(clients.err.find("--listen"), std::string::npos) << clients.err;
  EXPECT_NE(clients.err.find(std::to_string(busy.port())), std::string::npos) << clients.err;
  const Outcome operators = run({"serve", "--upstream", "http://127.0.0.1:1", "--workers", "1", "--listen",
                                 "127.0.0.1:0", "--operator-listen", address});
  EXPECT_EQ(operators.status, 1);
  EXPECT_NE(operators.err.find("--operator-listen"), std::string::npos) << operators.err;
}

TEST_F(CommandLine, HealthIsZeroWhenTheServerIsReady) {
  test::ScriptedUpstream server;
  server.expect_request().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").close();
  EXPECT_EQ(run({"health", "--operator-listen", "127.0.0.1:" + std::to_string(server.port())}).status, 0);
  EXPECT_EQ(server.requests().at(0).target(), "/readyz");
}

TEST_F(CommandLine, HealthIsOneWithTheReasonWhenItIsNot) {
  test::ScriptedUpstream server;
  server.expect_request()
      .send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 8\r\nConnection: close\r\n\r\nstopping")
      .close();
  const Outcome outcome = run({"health", "--operator-listen", "127.0.0.1:" + std::to_string(server.port())});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.err.find("not ready: stopping"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, HealthAsksWhereTheConfigurationSays) {
  test::ScriptedUpstream server;
  server.expect_request().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").close();
  EXPECT_EQ(
      run({"health", "--config", file("operator: {listen: \"127.0.0.1:" + std::to_string(server.port()) + "\"}\n")})
          .status,
      0);
}

TEST_F(CommandLine, HealthIsOneWhenNobodyAnswers) {
  const Outcome outcome = run({"health", "--operator-listen", "127.0.0.1:" + std::to_string(test::refusing_port())});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.err.find("nobody answers"), std::string::npos) << outcome.err;
}

TEST_F(CommandLine, HealthWithABadAddressIsWrongUse) {
  EXPECT_EQ(run({"health", "--operator-listen", "8081"}).status, 2);
}

}  // namespace
}  // namespace weir::app
