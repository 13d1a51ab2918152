#include "app/state_file.hpp"

#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include "net/worker.hpp"
#include "protocol/error_body.hpp"
#include "proxy/admission_refusal.hpp"

namespace weir::app {
namespace {

using admission::Budget;
using admission::Meter;
using admission::Scope;
using admission::Tokens;
using std::chrono::milliseconds;

constexpr std::int64_t schema = 1;
constexpr milliseconds grain{50};  // charges that leave this close to each other are put together
constexpr milliseconds leaves_in_max = std::chrono::hours(24 * 366);  // a charge that never leaves is written so
constexpr std::int64_t amount_max = 1'000'000'000'000'000;
constexpr std::uintmax_t state_bytes_max = 256u << 20;
constexpr std::array scopes{Scope::key, Scope::team, Scope::account, Scope::model};

std::int64_t milliseconds_up(admission::Duration duration) {
  if (duration >= leaves_in_max) return leaves_in_max.count();
  const auto grains = std::chrono::ceil<std::chrono::duration<std::int64_t, std::ratio<1, 20>>>(duration);
  static_assert(milliseconds(decltype(grains)(1)) == grain);
  return milliseconds(grains).count();
}

enum class Kind : bool { charges, debts };

void append_charges(std::string& out, const std::vector<Budget::Charge>& charges, Meter meter, Kind kind) {
  bool first = true;
  std::int64_t leaves_in = 0;
  Tokens amount = 0;
  const auto put = [&] {
    if (amount == 0) return;
    out += (first ? "[" : ",[") + std::to_string(leaves_in) + ',' + std::to_string(amount) + ']';
    first = false;
    amount = 0;
  };
  for (const Budget::Charge& charge : charges) {
    if (charge.meter != meter || charge.debt != (kind == Kind::debts)) continue;
    const std::int64_t when = milliseconds_up(charge.leaves_in);
    if (when != leaves_in) put();
    leaves_in = when;
    amount += charge.amount;
  }
  put();
}

// What is wrong with a member, as an exception within this file only.
struct Wrong {
  std::string what;
};

template <typename T>
T member(simdjson::dom::object object, const char* name) {
  T value{};
  if (object[name].get(value) != simdjson::SUCCESS) throw Wrong{std::string("'") + name + "' is missing or wrong"};
  return value;
}

std::int64_t bounded(simdjson::dom::element element, std::int64_t most, const char* what) {
  std::int64_t value = 0;
  if (element.get(value) != simdjson::SUCCESS || value < 0 || value > most)
    throw Wrong{std::string(what) + " is out of range"};
  return value;
}

Scope scope_of(std::string_view word) {
  for (const Scope scope : scopes) {
    if (proxy::word_of(scope) == word) return scope;
  }
  throw Wrong{"unknown scope '" + std::string(word) + "'"};
}

Meter meter_of(std::string_view word) {
  for (std::size_t i = 0; i < admission::meter_count; ++i) {
    if (proxy::word_of(static_cast<Meter>(i)) == word) return static_cast<Meter>(i);
  }
  throw Wrong{"unknown meter '" + std::string(word) + "'"};
}

Budget::Charge charge_of(simdjson::dom::element element, Meter meter, Kind kind) {
  simdjson::dom::array pair;
  if (element.get(pair) != simdjson::SUCCESS || pair.size() != 2) throw Wrong{"a charge is no pair of numbers"};
  Budget::Charge charge;
  charge.meter = meter;
  charge.leaves_in = milliseconds(bounded(pair.at(0), leaves_in_max.count(), "the time of a charge"));
  charge.amount = bounded(pair.at(1), amount_max, "the amount of a charge");
  charge.debt = kind == Kind::debts;
  return charge;
}

void read_charges(simdjson::dom::object lists, Kind kind, std::vector<Budget::Charge>& all) {
  for (const auto [word, charges] : lists) {
    const Meter meter = meter_of(word);
    simdjson::dom::array list;
    if (charges.get(list) != simdjson::SUCCESS) throw Wrong{"charges are no list"};
    for (const simdjson::dom::element charge : list) all.push_back(charge_of(charge, meter, kind));
  }
}

std::string by_meter(const std::vector<Budget::Charge>& charges, Kind kind) {
  std::string out = "{";
  for (std::size_t i = 0; i < admission::meter_count; ++i) {
    const auto meter = static_cast<Meter>(i);
    if (i > 0) out += ',';
    out += protocol::json_quote(proxy::word_of(meter)) + ":[";
    append_charges(out, charges, meter, kind);
    out += ']';
  }
  return out + '}';
}

State state_of(simdjson::dom::object root) {
  if (member<std::int64_t>(root, "schema") != schema) throw Wrong{"another version of weir wrote it"};
  State state;
  state.written = SystemTime(milliseconds(member<std::int64_t>(root, "written_unix_ms")));
  state.complete = member<bool>(root, "complete");
  for (const simdjson::dom::element element : member<simdjson::dom::array>(root, "budgets")) {
    simdjson::dom::object budget;
    if (element.get(budget) != simdjson::SUCCESS) throw Wrong{"a budget is no object"};
    admission::Snapshot::Entry& entry = state.snapshot.budgets.emplace_back();
    entry.scope = scope_of(member<std::string_view>(budget, "scope"));
    entry.name = std::string(member<std::string_view>(budget, "name"));
    if (budget["like"].error() == simdjson::SUCCESS) entry.like = std::string(member<std::string_view>(budget, "like"));
    read_charges(member<simdjson::dom::object>(budget, "charges"), Kind::charges, entry.charges);
    if (budget["debts"].error() == simdjson::SUCCESS)
      read_charges(member<simdjson::dom::object>(budget, "debts"), Kind::debts, entry.charges);
  }
  return state;
}

std::string system_words(int error) {
  return std::generic_category().message(error);
}

// Of a name relative to the current folder: that folder.
std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

std::string seconds(std::chrono::nanoseconds duration) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(1);
  out << std::chrono::duration<double>(duration).count() << " s";
  return out.str();
}

}  // namespace

std::string format_state(const State& state) {
  std::string out = R"({"schema":)" + std::to_string(schema) + R"(,"written_unix_ms":)" +
                    std::to_string(std::chrono::floor<milliseconds>(state.written.time_since_epoch()).count()) +
                    R"(,"complete":)" + (state.complete ? "true" : "false") + R"(,"budgets":[)";
  bool first = true;
  for (const admission::Snapshot::Entry& entry : state.snapshot.budgets) {
    out += (first ? "\n" : ",\n") + std::string(R"({"scope":")") + std::string(proxy::word_of(entry.scope)) +
           R"(","name":)" + protocol::json_quote(entry.name);
    if (!entry.like.empty()) out += R"(,"like":)" + protocol::json_quote(entry.like);
    first = false;
    out += R"(,"charges":)" + by_meter(entry.charges, Kind::charges);
    const bool owes = std::any_of(entry.charges.begin(), entry.charges.end(),
                                  [](const Budget::Charge& charge) { return charge.debt; });
    if (owes) out += R"(,"debts":)" + by_meter(entry.charges, Kind::debts);
    out += '}';
  }
  return out + "]}\n";
}

std::variant<State, std::string> parse_state(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::object root;
  const auto error = parser.parse(text.data(), text.size()).get(root);
  if (error != simdjson::SUCCESS) return std::string("it is no JSON object: ") + simdjson::error_message(error);
  try {
    return state_of(root);
  } catch (const Wrong& wrong) {
    return wrong.what;
  }
}

std::string replace_file(const std::string& path, std::string_view text) {
  const std::string next = path + ".new";
  const int descriptor = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return next + ": " + system_words(errno);
  int error = write_all(descriptor, text) && ::fsync(descriptor) == 0 ? 0 : errno;
  if (::close(descriptor) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(next.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(next.c_str());
    return path + ": " + system_words(error);
  }
  // The new name itself has to reach the disk; where a file system cannot do that there is nothing more to do.
  if (const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

std::string state_file_fault(const std::string& path) {
  if (path.empty()) return {};
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return "'" + path + "' is a folder";
  const std::string folder = folder_of(path);
  if (!std::filesystem::is_directory(folder, ignored)) return "there is no folder '" + folder + "'";
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return "nothing can be written in '" + folder + "': " + system_words(errno);
}

StateFile::StateFile(std::string path, proxy::AdmissionGate& gate, observe::Log& log)
    : path_(std::move(path)), gate_(gate), log_(log) {}

bool StateFile::restore(admission::Duration window_max, SystemTime now) {
  const std::string name = "state_file " + path_ + ": ";
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path_, error);
  if (error == std::errc::no_such_file_or_directory) {
    log_.info(name + "not there yet, nothing is known of what was sent before");
    return false;
  }
  std::ostringstream text;
  if (!error && bytes <= state_bytes_max) {
    errno = 0;
    std::ifstream file(path_, std::ios::binary);
    text << file.rdbuf();
    if (!file.is_open() || errno != 0) error.assign(errno, std::generic_category());
  }
  auto parsed = error                     ? std::variant<State, std::string>(error.message())
                : bytes > state_bytes_max ? std::variant<State, std::string>("too large")
                                          : parse_state(text.str());
  if (const auto* const why = std::get_if<std::string>(&parsed)) {
    log_.error(name + "not restored: " + *why);
    return false;
  }
  const State& state = std::get<State>(parsed);
  // A clock that was set back makes charges stay too long, never too short: a meter keeps none beyond its window.
  const admission::Duration age =
      std::max(admission::Duration::zero(), std::chrono::duration_cast<admission::Duration>(now - state.written));
  gate_.with([&](admission::Scheduler& scheduler) { scheduler.restore(state.snapshot, age, net::Clock::now()); });
  if (age >= window_max) {
    log_.info(name + "written " + seconds(age) +
              " ago, longer than any window: only what is counted by the day is restored");
    return false;
  }
  log_.info(name + "budgets restored as they stood " + seconds(age) + " ago");
  if (!state.complete) {
    log_.warn(name + "the process before this one did not end in order: what it sent in its last " +
              std::to_string(state_every.count()) + " s may be missing");
  }
  return true;
}

void StateFile::write(Occasion occasion) {
  State state;
  state.complete = occasion == Occasion::end;
  state.snapshot = gate_.with([](admission::Scheduler& scheduler) { return scheduler.snapshot(net::Clock::now()); });
  state.written = std::chrono::system_clock::now();
  const std::string problem = replace_file(path_, format_state(state));
  if (!problem.empty() && !failing_) log_.error("state_file not written: " + problem);
  if (problem.empty() && failing_) log_.info("state_file " + path_ + ": written again");
  failing_ = !problem.empty();
}

}  // namespace weir::app
