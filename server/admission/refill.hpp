// When there is room in a strip behind others, if each of them goes as soon as it can: what leaves together makes room
// for as much that goes together, and leaves together one window later. A prediction, in O(log entries). Pure.
#pragma once

#include "admission/debts.hpp"
#include "admission/window_log.hpp"

namespace weir::admission {

struct Refill {
  const WindowLog& log;
  const Debts& debts;
  Tokens limit = 1;    // at least 1
  Tokens booked = 0;   // charged, owed, reserved or expected
  Duration window{0};  // of a debt a limit's worth falls due in each

  // What is larger than the limit goes when nothing else is there.
  Instant room(Tokens ahead, Tokens own, Instant now) const;

 private:
  Instant when_left(Tokens amount, Instant now) const;
};

}  // namespace weir::admission
