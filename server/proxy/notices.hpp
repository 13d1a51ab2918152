// What an operator should know without asking: that an account has fallen into trouble or come out of it, and that
// calls have been waiting for a while, and for what. Said once, and again when it lasts; a log is no page to watch.
// Looked for every few seconds; not thread-safe; time is an argument.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/account_health.hpp"
#include "proxy/admission_gate.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct Notice {
  bool warning = false;  // somebody has to do something
  std::string text;      // without a full stop
};

class Notices {
 public:
  // A pause or a wait that is shorter is everyday.
  static constexpr std::chrono::seconds worth_telling{5};
  // How long the same is not told again, though it may have been over in between.
  static constexpr std::chrono::seconds told_again_after{60};

  // What is new since the last look.
  std::vector<Notice> look(const Settings& settings, const AccountHealth& health, AdmissionGate& gate,
                           net::Instant now);

 private:
  enum class Trouble { none, turns_away, fails, without_money, refuses_key };  // from light to grave
  struct Told {
    Trouble trouble = Trouble::none;
    net::Instant at = net::Instant::min();
    bool over = true;
  };
  static Trouble trouble_of(const std::optional<AccountHealth::State>& state, net::Instant now);
  void look_at(const std::string& account, const AccountHealth& health, net::Instant now, std::vector<Notice>& news);
  void look_at(AdmissionGate& gate, net::Instant now, std::vector<Notice>& news);

  std::map<std::string, Told> accounts_;
  Told queue_;
};

}  // namespace weir::proxy
