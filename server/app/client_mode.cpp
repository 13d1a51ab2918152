#include "app/client_mode.hpp"

namespace weir::app {
namespace {

using proxy::ClientMode;

constexpr const char* exposed =
    "a provider key is configured and weir would listen beyond loopback, so anyone who can connect could spend it: "
    "configure `keys` (weir new-key makes one), or set clients.open: anywhere (WEIR_CLIENTS_OPEN=anywhere) if that is "
    "meant";

}  // namespace

std::variant<ModeChoice, std::string> choose_mode(const ModeFacts& facts) {
  const bool exposes = facts.has_provider_key && !facts.loopback_only && !facts.open_anywhere;
  if (facts.asked == ClientMode::keys || (!facts.asked && facts.has_keys)) {
    if (!facts.has_keys)
      return std::string(
          "clients.mode is keys, but no `keys` are configured: nobody could call; weir new-key makes one");
    return ModeChoice{ClientMode::keys, "callers need one of the configured keys"};
  }
  if (facts.asked == ClientMode::pass_through) {
    if (facts.has_provider_key) {
      return std::string(
          "clients.mode is pass-through, where each caller sends its own provider key, but an upstream has an api_key: "
          "remove one of the two");
    }
    return ModeChoice{ClientMode::pass_through, "asked for; the caller's own key goes upstream"};
  }
  if (facts.asked == ClientMode::open || facts.has_provider_key) {
    if (exposes) return std::string(exposed);
    if (facts.asked) return ModeChoice{ClientMode::open, "asked for; no key is needed"};
    return ModeChoice{ClientMode::open,
                      facts.loopback_only
                          ? "a provider key is configured and weir listens on loopback only; no key is needed"
                          : "clients.open is anywhere; no key is needed"};
  }
  return ModeChoice{ClientMode::pass_through, "no provider key is configured; the caller's own key goes upstream"};
}

}  // namespace weir::app
