// What lanes that take turns have been served together before somebody's turn comes, in O(log lanes): the first call of
// each goes whole when its turn comes, what is behind it evenly, by the weight of the lane, until it is empty. Filled
// once, asked often.
#pragma once

#include <compare>
#include <vector>

#include "admission/arrivals.hpp"

namespace weir::admission {

using Tag = std::int64_t;
constexpr Tag tag_scale = 1024;  // a token at weight 1; leaves room for weights up to about a thousand

// What an order goes by: the tag among shares, the tag among sub-lanes of a key, and who came first.
struct Turn {
  Tag share = 0, sub_lane = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const Turn&, const Turn&) = default;
};

// Those who take turns as one, from afar.
struct Contour {
  Turn turn;  // of the first of them
  std::int64_t weight = 1;
  Amount first, all;

  Amount rest() const { return all - first; }
  // From when on the rest is served evenly: half of one of them early, as in the mean over all turns.
  Tag rest_begins() const;
};

// What of them is served before another turn comes.
Amount served_before(const Turn& turn, const Contour& contour);

class ServiceCurve {
 public:
  void clear();
  // REQUIRES: somebody waits there.
  void add(const Contour& contour);
  // `without`: not counting this lane, which was added too. It is taken off before anything is rounded, so that who
  // comes later in a lane never has fewer of the others before it.
  Amount before(const Turn& turn, const Contour* without = nullptr);
  const Amount& all() const { return all_; }
  // What goes first of all. REQUIRES: something was added.
  Amount first();

 private:
  // Where the rest of a lane begins or ends: how much faster all together are served from here on, and what rounding
  // left out.
  struct Bend {
    Tokens at = 0;  // virtual time, in tokens
    Amount slope, jump;
    // After build():
    Amount served;  // until here
  };
  struct Step {
    Turn turn;
    Amount served;  // with it; after build() also by all before it
  };
  void build();
  Amount evenly_until(Tokens time) const;  // of the rests, in units

  std::vector<Bend> bends_;
  std::vector<Step> steps_;
  Amount all_;
  bool built_ = false;
};

}  // namespace weir::admission
