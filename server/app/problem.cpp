#include "app/problem.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace weir::app {
namespace {

// Letters put in, left out, replaced, and neighbours swapped: `rmp` is one slip away from `rpm`.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string to_string(const Place& place) {
  if (place.line == 0) return place.source;
  return place.source + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

std::string to_string(const Problems& problems) {
  std::vector<const Problem*> sorted;
  for (const auto& problem : problems) sorted.push_back(&problem);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem* a, const Problem* b) {
    return std::tie(a->place.source, a->place.line, a->place.column) <
           std::tie(b->place.source, b->place.line, b->place.column);
  });
  std::string text;
  for (const Problem* problem : sorted) {
    const std::string place = to_string(problem->place);
    if (!place.empty()) text += place + ": ";
    text += problem->message + "\n";
  }
  return text;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > 64) return {};  // the comparison is quadratic, and nothing we know is as long
  std::string best;
  std::size_t best_edits = std::max<std::size_t>(1, word.size() / 3) + 1;  // more is a guess, not a slip
  for (const auto& candidate : candidates) {
    if (candidate.size() > 64) continue;
    const std::size_t distance = edits(word, candidate);
    if (distance < best_edits && distance < candidate.size()) {  // all letters replaced: another word
      best_edits = distance;
      best = candidate;
    }
  }
  if (!best.empty()) return best;
  for (const auto& candidate : candidates) {  // `max_wait` for `wait_max`, `client_header_timeout` for `client_header`
    if (word.size() >= 4 && candidate.size() >= 4 &&
        (candidate.find(word) != std::string::npos || word.find(candidate) != std::string_view::npos)) {
      return candidate;
    }
    const auto cut = word.find('_');
    if (cut != std::string_view::npos) {
      const std::string turned = std::string(word.substr(cut + 1)) + "_" + std::string(word.substr(0, cut));
      if (turned == candidate) return candidate;
    }
  }
  return {};
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) return " (did you mean '" + near + "'?)";
  if (candidates.empty() || candidates.size() > 32) return {};
  std::string known;
  for (const auto& candidate : candidates) known += (known.empty() ? "" : ", ") + candidate;
  return " (known: " + known + ")";
}

}  // namespace weir::app
