// What the process was given beside its files: environment variables, and secrets mounted as files. Passed in rather
// than asked of the system, so that tests state their own. Never writes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::app {

struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;   // nullopt: not set
  std::function<std::optional<std::string>(const std::string& path)> read_file;  // nullopt: cannot be read
  std::vector<std::string> names{};                                              // of all variables that are set
};

Environment process_environment();

// One sentence when a secret cannot be one: what goes into a header must not break out of it. Empty when it can.
std::string secret_fault(std::string_view secret);

// A secret in `name`, or in the file that `name`_FILE names (trailing line ends cut). `error` says why what is there
// could not be used. An empty variable counts as not set.
std::optional<std::string> secret_variable(const Environment& environment, const std::string& name, std::string& error);

}  // namespace weir::app
