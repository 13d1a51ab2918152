// Where the settings of a server come from: a file, the environment, the flags; in rising order of precedence. One
// ConfigSource is made at start and asked again at every reload, so that a reload sees what a restart would see.
// load() changes nothing outside its result: a bad file leaves the running settings alone.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "app/config.hpp"
#include "app/environment.hpp"
#include "app/problem.hpp"
#include "proxy/settings.hpp"

namespace weir::app {

// Flags of `serve` and `check`, as typed. Each beats its WEIR_* variable, which beats the file.
struct Overrides {
  std::optional<std::string> config, listen, operator_listen, upstream, rpm, tpm, concurrency, share, workers;
};

struct Loaded {
  Config config;                // with overrides applied; `upstreams` includes those made from flags and environment
  proxy::SettingsPtr settings;  // never null
  std::string mode_reason;      // why the client mode is what it is, in one sentence, for the start-up line
  std::vector<std::string> warnings;  // things that work but are hardly meant
};

class ConfigSource {
 public:
  ConfigSource(Overrides overrides, Environment environment);

  // Everything or every problem. With nothing configured at all the single problem says what to do. Variables that
  // nothing reads are warnings, and stand among the problems where there are some: they may be the cause.
  std::variant<Loaded, Problems> load() const;

  // The configuration file in use (for the change watch); empty: none.
  const std::string& path() const { return path_; }

 private:
  std::variant<Loaded, Problems> load(const Environment& environment) const;

  Overrides overrides_;
  Environment environment_;
  std::string path_;
};

// What `weir serve` was asked to do. app::serve (app.hpp) runs it and returns the exit status.
struct ServeRequest {
  ConfigSource source;
  bool watch = false;  // reload when the file changes (--watch, WEIR_WATCH=on)
};

}  // namespace weir::app
