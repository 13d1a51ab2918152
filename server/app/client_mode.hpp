// Who may call: the mode of the clients' listener follows from what is configured, so that no default hands a provider
// key to whoever can connect. Pure.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "proxy/settings.hpp"

namespace weir::app {

struct ModeFacts {
  std::optional<proxy::ClientMode> asked;  // clients.mode
  bool has_keys = false;                   // virtual keys are configured
  bool has_provider_key = false;           // weir holds a secret that callers would spend
  bool loopback_only = true;               // of the clients' listener
  bool open_anywhere = false;              // clients.open: anywhere
};

struct ModeChoice {
  proxy::ClientMode mode = proxy::ClientMode::open;
  std::string reason;  // one sentence
};

// The mode, or why weir does not start.
std::variant<ModeChoice, std::string> choose_mode(const ModeFacts& facts);

}  // namespace weir::app
