// What lanes that take turns have been served together when virtual time has come to some point, in O(log lanes): each
// is served evenly, by its weight, from its tag until it is empty. Filled once, asked often.
#pragma once

#include <vector>

#include "admission/arrivals.hpp"

namespace weir::admission {

using Tag = std::int64_t;
constexpr Tag tag_scale = 1024;  // a token at weight 1; leaves room for weights up to about a thousand

// What is served of `all` while another one moves on by `distance` of virtual time.
Amount served_within(Tag distance, std::int64_t weight, const Amount& all);

class ServiceCurve {
 public:
  void clear();
  void add(Tag start, std::int64_t weight, const Amount& all);
  Amount at(Tag time);
  const Amount& all() const { return all_; }

 private:
  // Where a lane begins or ends: how much faster all together are served from here on, and what rounding left out.
  struct Bend {
    Tokens at = 0;  // virtual time, in tokens
    Amount slope, jump;
    // After build():
    Amount served;  // until here
  };
  void build();

  std::vector<Bend> bends_;
  Amount all_;
  bool built_ = false;
};

}  // namespace weir::admission
