// What calls took beyond a whole limit: paid part by part, one in each window, however much it is. Only the next part
// of each is ever entered anywhere, so a debt of any size costs the same. Pure; knows no limit.
#pragma once

#include <algorithm>
#include <vector>

#include "admission/units.hpp"

namespace weir::admission {

class Debts {
 public:
  struct Debt {
    Instant due;
    Tokens rest = 0;
    Tokens part = 1;                // paid at a time
    Instant sent = Instant::min();  // when its call was
  };

  // REQUIRES: amount > 0, part > 0. The first part is due then.
  void add(const Debt& debt) {
    debts_.push_back(debt);
    sum_ += debt.rest;
  }
  // Calls pay(due, amount) for all that is due until `now`; the parts of a debt are a `step` apart.
  template <typename Pay>
  void fall_due(Instant now, Duration step, Pay pay) {
    for (Debt& debt : debts_) {
      for (; debt.rest > 0 && debt.due <= now; debt.due += step) {
        const Tokens part = std::min(debt.rest, debt.part);
        debt.rest -= part;
        sum_ -= part;
        pay(debt.due, part);
      }
    }
    std::erase_if(debts_, [](const Debt& debt) { return debt.rest == 0; });
  }
  // Takes back up to `amount` of what the call of then has yet to pay. Returns what was taken.
  Tokens take_back(Instant sent, Tokens amount) {
    const auto its = std::find_if(debts_.begin(), debts_.end(), [&](const Debt& debt) { return debt.sent == sent; });
    if (its == debts_.end()) return 0;
    const Tokens taken = std::min(amount, its->rest);
    its->rest -= taken;
    sum_ -= taken;
    if (its->rest == 0) debts_.erase(its);
    return taken;
  }
  // From now on so much is paid at a time, and the next part of each is due so much later.
  void repart(Tokens part, Duration later) {
    for (Debt& debt : debts_) {
      debt.part = part;
      debt.due += later;
    }
  }
  void clear() {
    debts_.clear();
    sum_ = 0;
  }

  Tokens sum() const { return sum_; }
  Instant next_due() const {
    Instant next = never;
    for (const Debt& debt : debts_) next = std::min(next, debt.due);
    return next;
  }
  // When the last part of all is due, and when so much of the sum has fallen due. REQUIRES: there are debts; of the
  // second: 0 < amount <= sum().
  Instant last_due(Duration step) const {
    Instant last = Instant::min();
    for (const Debt& debt : debts_) last = std::max(last, debt.due + step * later_parts(debt, step));
    return last;
  }
  Instant when_due(Tokens amount, Duration step) const {
    // In rounds of one part of each: first in which round, then with whose part.
    Tokens before = 0, rounds = 0;
    for (const Debt& debt : debts_) rounds = std::max(rounds, later_parts(debt, step));
    for (Tokens end = rounds; before < end;) {
      const Tokens middle = before + (end - before) / 2;
      if (due_in(middle + 1) >= amount) {
        end = middle;
      } else {
        before = middle + 1;
      }
    }
    std::vector<Debt> in_order = debts_;
    std::sort(in_order.begin(), in_order.end(), [](const Debt& a, const Debt& b) { return a.due < b.due; });
    Instant when = in_order.back().due;
    Tokens due = due_in(before);
    for (const Debt& debt : in_order) {
      due += due_of(debt, before + 1) - due_of(debt, before);
      when = debt.due;
      if (due >= amount) break;
    }
    return when + step * before;
  }
  const std::vector<Debt>& all() const { return debts_; }

 private:
  // Behind the next one. Those beyond time_max are not told apart.
  static Tokens later_parts(const Debt& debt, Duration step) {
    return std::min<Tokens>((debt.rest - 1) / debt.part, time_max / step);
  }
  static Tokens due_of(const Debt& debt, Tokens rounds) {
    return rounds > debt.rest / debt.part ? debt.rest : rounds * debt.part;
  }
  Tokens due_in(Tokens rounds) const {
    Tokens due = 0;
    for (const Debt& debt : debts_) due += due_of(debt, rounds);
    return due;
  }

  std::vector<Debt> debts_;  // few: who is larger than the limit goes alone
  Tokens sum_ = 0;
};

}  // namespace weir::admission
