// What was spent, as it goes into a file and comes back.
#include "app/state_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace weir::app {
namespace {

using namespace std::chrono_literals;
using admission::Budget;
using admission::Meter;
using admission::Scope;

const SystemTime written = SystemTime(1'764'000'000'123ms);

class Folder {
 public:
  Folder() : path_(std::filesystem::path(testing::TempDir()) / ("weir-state-" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return path_ / name; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

State state_with(std::vector<Budget::Charge> charges, Scope scope = Scope::account, std::string name = "ark-1") {
  State state;
  state.written = written;
  state.snapshot.budgets.push_back({scope, std::move(name), std::move(charges)});
  return state;
}

State parsed(const std::string& text) {
  auto result = parse_state(text);
  if (const auto* const why = std::get_if<std::string>(&result)) ADD_FAILURE() << *why << " in " << text;
  return std::holds_alternative<State>(result) ? std::get<State>(std::move(result)) : State();
}

std::string fault_of(const std::string& text) {
  const auto result = parse_state(text);
  const auto* const why = std::get_if<std::string>(&result);
  return why == nullptr ? "accepted" : *why;
}

// A gate with one account of 100 tokens and 10 requests a minute, and what it logs.
class Instance {
 public:
  Instance() : log_({.on_exchange = {}}) {
    proxy::Settings settings;
    proxy::Upstream& upstream = settings.upstreams.emplace_back();
    upstream.name = "ark-1";
    upstream.limits.tpm = 100;
    upstream.limits.rpm = 10;
    gate.reconfigure(settings);
  }
  StateFile file(const std::string& path) { return {path, gate, log_}; }
  void charge(admission::Tokens tokens) {
    gate.with([&](admission::Scheduler& scheduler) {
      admission::Snapshot snapshot;
      snapshot.budgets.push_back({Scope::account, "ark-1", {{Meter::tokens, 60s, tokens}, {Meter::requests, 60s, 1}}});
      scheduler.restore(snapshot, 0s, net::Clock::now());
    });
  }
  admission::Tokens used(Meter meter = Meter::tokens) {
    return gate.with([&](admission::Scheduler& scheduler) {
      return scheduler.view(scheduler.budget(Scope::account, "ark-1"), meter, net::Clock::now()).used;
    });
  }

  proxy::AdmissionGate gate;

 private:
  observe::Log log_;
};

// --- The text

TEST(StateText, BringsEverythingBack) {
  State state = state_with({{Meter::requests, 2s, 3}, {Meter::tokens, 1s, 500}, {Meter::tokens, 59s, 7}});
  state.complete = true;
  state.snapshot.budgets.push_back({Scope::key, "al\"ice\n", {{Meter::tokens_day, 5h, 1'000'000'000'000}}});
  state.snapshot.budgets.push_back({Scope::team, "t", {{Meter::input, 1s, 1}, {Meter::output, 1s, 2}}});
  state.snapshot.budgets.push_back({Scope::model, "ark-1/deepseek-*", {{Meter::requests_day, 1h, 4}}});
  state.snapshot.budgets.push_back({Scope::account, "ark-1@key-1a2b3c4d", {{Meter::requests, 2s, 3}}, "ark-1"});
  const State back = parsed(format_state(state));
  EXPECT_EQ(back.written, written);
  EXPECT_TRUE(back.complete);
  ASSERT_EQ(back.snapshot.budgets.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    const admission::Snapshot::Entry& was = state.snapshot.budgets[i];
    const admission::Snapshot::Entry& is = back.snapshot.budgets[i];
    EXPECT_EQ(is.scope, was.scope);
    EXPECT_EQ(is.name, was.name);
    EXPECT_EQ(is.like, was.like);
    ASSERT_EQ(is.charges.size(), was.charges.size());
    for (std::size_t k = 0; k < is.charges.size(); ++k) {
      EXPECT_EQ(is.charges[k].meter, was.charges[k].meter);
      EXPECT_EQ(is.charges[k].leaves_in, was.charges[k].leaves_in);
      EXPECT_EQ(is.charges[k].amount, was.charges[k].amount);
    }
  }
}

TEST(StateText, TellsWhatIsOwedFromWhatIsSpent) {
  const std::string text =
      format_state(state_with({{Meter::tokens, 1s, 500}, {Meter::tokens, 59s, 700, true}, {Meter::tokens, 59s, 7}}));
  const auto charges = parsed(text).snapshot.budgets.at(0).charges;
  ASSERT_EQ(charges.size(), 3U);
  EXPECT_EQ(charges[2].leaves_in, 59s);
  EXPECT_EQ(charges[2].amount, 700);
  EXPECT_TRUE(charges[2].debt);
  EXPECT_FALSE(charges[1].debt);
  // Nobody owes anything most of the time, and a file from before says nothing of it.
  EXPECT_EQ(format_state(state_with({{Meter::tokens, 1s, 5}})).find("debts"), std::string::npos);
}

TEST(StateText, RoundsTimesUpAndPutsCloseOnesTogether) {
  const State state = state_with({{Meter::tokens, 1'000'000'001ns, 5},
                                  {Meter::tokens, 1040ms, 6},
                                  {Meter::tokens, 1050ms, 7},
                                  {Meter::tokens, 1051ms, 8}});
  const State back = parsed(format_state(state));
  ASSERT_EQ(back.snapshot.budgets.size(), 1U);
  const auto& charges = back.snapshot.budgets[0].charges;
  ASSERT_EQ(charges.size(), 2U);
  EXPECT_EQ(charges[0].leaves_in, 1050ms);
  EXPECT_EQ(charges[0].amount, 18);
  EXPECT_EQ(charges[1].leaves_in, 1100ms);
  EXPECT_EQ(charges[1].amount, 8);
}

TEST(StateText, KeepsAChargeThatNeverLeavesForAYear) {
  const State back = parsed(format_state(state_with({{Meter::tokens_day, admission::Duration::max(), 5}})));
  EXPECT_EQ(back.snapshot.budgets.at(0).charges.at(0).leaves_in, 24h * 366);
}

TEST(StateText, SaysWhatIsWrongWithAnotherText) {
  const std::string good = format_state(state_with({{Meter::tokens, 1s, 5}}));
  EXPECT_EQ(fault_of(good), "accepted");
  const auto with = [&](std::string_view part, std::string_view other) {
    std::string text = good;
    const auto at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return text.replace(at, part.size(), other);
  };
  EXPECT_EQ(fault_of(with("\"schema\":1", "\"schema\":2")), "another version of weir wrote it");
  EXPECT_EQ(fault_of(with("\"complete\":false,", "")), "'complete' is missing or wrong");
  EXPECT_EQ(fault_of(with("\"budgets\":[", "\"budgets\":[1,")), "a budget is no object");
  EXPECT_EQ(fault_of(with("\"scope\":\"upstream\"", "\"scope\":\"nation\"")), "unknown scope 'nation'");
  EXPECT_EQ(fault_of(with("\"tpm\"", "\"tpw\"")), "unknown meter 'tpw'");
  EXPECT_EQ(fault_of(with("[1000,5]", "[1000]")), "a charge is no pair of numbers");
  EXPECT_EQ(fault_of(with("[1000,5]", "[1000,-5]")), "the amount of a charge is out of range");
  EXPECT_EQ(fault_of(with("[1000,5]", "[-1,5]")), "the time of a charge is out of range");
  EXPECT_EQ(fault_of(with("[1000,5]", "[1000,5.5]")), "the amount of a charge is out of range");
  for (std::size_t length = 0; length + 2 < good.size(); ++length)
    EXPECT_NE(fault_of(good.substr(0, length)), "accepted") << length;
}

// --- The file

TEST(StateFile, CarriesBudgetsFromOneInstanceToTheNext) {
  const Folder folder;
  const std::string path = folder / "state";
  Instance before;
  before.charge(70);
  before.file(path).write(StateFile::Occasion::end);
  EXPECT_TRUE(parsed(content_of(path)).complete);
  EXPECT_EQ(folder.files(), 1U) << "nothing else is left behind";

  Instance after;
  EXPECT_TRUE(after.file(path).restore(60s, std::chrono::system_clock::now()));
  EXPECT_EQ(after.used(), 70);
  EXPECT_EQ(after.used(Meter::requests), 1);
}

TEST(StateFile, IsForItsOwnerOnly) {
  const Folder folder;
  Instance instance;
  instance.file(folder / "state").write(StateFile::Occasion::running);
  struct stat facts{};
  ASSERT_EQ(::stat((folder / "state").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_FALSE(parsed(content_of(folder / "state")).complete);
}

TEST(StateFile, OlderThanTheWindowIsNoKnowledge) {
  const Folder folder;
  const std::string path = folder / "state";
  Instance before;
  before.charge(70);
  before.file(path).write(StateFile::Occasion::end);
  const auto now = std::chrono::system_clock::now();
  Instance later;
  EXPECT_FALSE(later.file(path).restore(60s, now + 61s));
  EXPECT_EQ(later.used(), 0);
  Instance sooner;
  EXPECT_TRUE(sooner.file(path).restore(60s, now + 20s));
  EXPECT_EQ(sooner.used(), 70);
}

TEST(StateFile, FromTheFutureIsTakenAsJustWritten) {
  const Folder folder;
  const std::string path = folder / "state";
  Instance before;
  before.charge(70);
  before.file(path).write(StateFile::Occasion::end);
  Instance after;
  EXPECT_TRUE(after.file(path).restore(60s, std::chrono::system_clock::now() - 24h));
  EXPECT_EQ(after.used(), 70);
}

TEST(StateFile, MissingOrBadIsNoKnowledge) {
  const Folder folder;
  Instance instance;
  const auto restored = [&](const std::string& path) {
    return instance.file(path).restore(60s, std::chrono::system_clock::now());
  };
  EXPECT_FALSE(restored(folder / "none"));
  EXPECT_FALSE(restored(folder / ""));
  EXPECT_FALSE(restored(folder / "none/none"));
  for (const char* text : {"", "{}", "[1]", "\xff", R"({"schema":1})"}) {
    std::ofstream(folder / "bad") << text;
    EXPECT_FALSE(restored(folder / "bad")) << text;
  }
  EXPECT_EQ(instance.used(), 0);
}

TEST(ReplaceFile, LeavesTheOldOneWhereTheNewOneFails) {
  const Folder folder;
  EXPECT_EQ(replace_file(folder / "a", "one"), "");
  EXPECT_EQ(replace_file(folder / "a", "two"), "");
  EXPECT_EQ(content_of(folder / "a"), "two");
  std::filesystem::create_directory(folder / "a.new");  // in the way of the next
  EXPECT_NE(replace_file(folder / "a", "three").find("a.new: Is a directory"), std::string::npos);
  EXPECT_EQ(content_of(folder / "a"), "two");
  EXPECT_NE(replace_file(folder / "none/b", "x").find("No such file or directory"), std::string::npos);
  std::filesystem::create_directory(folder / "taken");
  EXPECT_NE(replace_file(folder / "taken", "x"), "");
  EXPECT_FALSE(std::filesystem::exists(folder / "taken.new"));
}

}  // namespace
}  // namespace weir::app
