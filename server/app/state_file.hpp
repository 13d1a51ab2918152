// What was spent, kept across restarts in the file that `state_file` names: written every few seconds while weir runs
// and once more when it ends, read once at start. JSON; names of budgets and amounts, never a secret.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <variant>

#include "admission/scheduler.hpp"
#include "observe/exchange_log.hpp"
#include "proxy/admission_gate.hpp"

namespace weir::app {

using SystemTime = std::chrono::system_clock::time_point;

// A write is no promise of what was sent after it: a crash forgets as much as was sent in so long.
constexpr std::chrono::seconds state_every{5};

struct State {
  SystemTime written;
  bool complete = false;  // written at the end of the process: nothing was sent after it
  admission::Snapshot snapshot;
};

// Times are rounded up and close ones put together: what is charged leaves a moment later, never sooner.
std::string format_state(const State& state);
// The state, or what is wrong with the text.
std::variant<State, std::string> parse_state(std::string_view text);

// Puts a file in place of another in one step: whoever opens it finds the old text or the new one, and after a crash of
// the machine too. Returns what went wrong, "" for nothing.
std::string replace_file(const std::string& path, std::string_view text);

// Why no state can be kept at `path`, "" for nothing: an empty path keeps none.
std::string state_file_fault(const std::string& path);

class StateFile {
 public:
  StateFile(std::string path, proxy::AdmissionGate& gate, observe::Log& log);

  // Budgets stand as they stood, as far as the file knows; false: it does not know what was sent in the last
  // `window_max`. REQUIRES: the gate has its limits.
  bool restore(admission::Duration window_max, SystemTime now);

  enum class Occasion { running, end };
  void write(Occasion occasion);

 private:
  std::string path_;
  proxy::AdmissionGate& gate_;
  observe::Log& log_;
  bool failing_ = false;  // the last write failed, and the log has said so
};

}  // namespace weir::app
