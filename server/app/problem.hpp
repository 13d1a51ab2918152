// What is wrong with a configuration, and where: one line a person can act on. Everything that reads settings (file,
// environment, flags, provider files) reports through this, so that all problems are shown at once, in file order.
// Messages never quote a secret, nor a value that came out of an interpolation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::app {

// Where a value was written: "weir.yaml:12:5", "WEIR_RPM" or "--rpm".
struct Place {
  std::string source;  // file name, variable or flag
  int line = 0;        // 1-based; 0: the source has no lines
  int column = 0;
};
std::string to_string(const Place& place);

struct Problem {
  Place place;
  std::string message;  // "queue.wait_max: ..."
};
using Problems = std::vector<Problem>;

// One problem per line, "place: message", ordered by source and position.
std::string to_string(const Problems& problems);

// "wait_max" for "wait_mx": the candidate that takes the fewest edits, or empty when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// " (did you mean 'wait_max'?)", or " (known: a, b, c)" when nothing is near and the list is short, or "".
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace weir::app
