#include "app/unread_variables.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace weir::app {
namespace {

constexpr std::string_view prefix = "WEIR_";

// In every pod, for a service called weir-x: WEIR_X_SERVICE_HOST, WEIR_X_SERVICE_PORT_HTTP, WEIR_X_PORT,
// WEIR_X_PORT_8080_TCP_ADDR and more.
bool is_of_a_service(std::string_view name, const std::vector<std::string>& names) {
  constexpr std::string_view host = "_SERVICE_HOST";
  return std::any_of(names.begin(), names.end(), [&](std::string_view other) {
    if (!other.starts_with("WEIR") || !other.ends_with(host)) return false;
    const std::string service(other.substr(0, other.size() - host.size()));
    return name.starts_with(service + "_SERVICE_") || name == service + "_PORT" || name.starts_with(service + "_PORT_");
  });
}

// Compared without the prefix, which would make everything look alike.
std::string near(std::string_view name) {
  std::vector<std::string> words;
  for (const std::string& known : known_variables()) words.push_back(known.substr(prefix.size()));
  const std::string word = nearest(name.substr(prefix.size()), words);
  return word.empty() ? std::string() : " (did you mean '" + std::string(prefix) + word + "'?)";
}

}  // namespace

const std::vector<std::string>& known_variables() {
  static const std::vector<std::string> names{"WEIR_CONFIG",
                                              "WEIR_LISTEN",
                                              "WEIR_OPERATOR_LISTEN",
                                              "WEIR_OPERATOR_TOKEN",
                                              "WEIR_OPERATOR_TOKEN_FILE",
                                              "WEIR_UPSTREAM_API_KEY",
                                              "WEIR_UPSTREAM_API_KEY_FILE",
                                              "WEIR_UPSTREAM",
                                              "WEIR_RPM",
                                              "WEIR_TPM",
                                              "WEIR_CONCURRENCY",
                                              "WEIR_SHARE",
                                              "WEIR_CLIENTS_OPEN",
                                              "WEIR_WORKERS",
                                              "WEIR_LOG_FORMAT",
                                              "WEIR_LOG_LEVEL",
                                              "WEIR_WATCH"};
  return names;
}

Problems unread_variables(const std::vector<std::string>& names, const std::set<std::string>& asked) {
  const std::vector<std::string>& known = known_variables();
  Problems unread;
  for (const std::string& name : names) {
    if (!name.starts_with(prefix) || asked.contains(name) || is_of_a_service(name, names)) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string message = "weir reads no variable of this name" + near(name);
    unread.push_back({{name, 0, 0}, std::move(message)});
  }
  return unread;
}

}  // namespace weir::app
