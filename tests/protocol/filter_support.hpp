// Runs a StreamFilter over a stream cut into pieces and gathers all that can be observed, so that two runs compare with
// ==.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "protocol/stream_filter.hpp"

namespace weir::protocol {

struct Observed {
  std::string output;
  bool content = false, terminal = false, mid_event = false;
  bool said_all = false;  // before the end of the body
  std::optional<std::uint64_t> input, cached, out_tokens, reasoning;
  std::string error;
  std::uint64_t events = 0, contents = 0, keepalives = 0;
  bool operator==(const Observed&) const = default;
};

inline std::ostream& operator<<(std::ostream& stream, const Observed& seen) {
  return stream << "content=" << seen.content << " terminal=" << seen.terminal << " mid=" << seen.mid_event
                << " events=" << seen.events << " contents=" << seen.contents << " keepalives=" << seen.keepalives
                << " in=" << seen.input.value_or(0) << " out=" << seen.out_tokens.value_or(0) << " error=" << seen.error
                << "\n"
                << seen.output;
}

enum class Ending { clean, cut };

// `cuts`: ascending offsets at which one feed ends and the next begins.
inline Observed run_filter(const FilterOptions& options, std::string_view bytes, const std::vector<std::size_t>& cuts,
                           Ending ending) {
  StreamFilter filter(options);
  Observed seen;
  std::vector<std::string_view> out;
  const auto gather = [&] {
    for (const std::string_view slice : out) seen.output += slice;
    out.clear();
  };
  std::size_t begin = 0;
  const auto feed_to = [&](std::size_t end) {
    // A copy of its own for every feed: reading beyond it, or keeping a view of it, shows under AddressSanitizer.
    const std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                  bytes.begin() + static_cast<std::ptrdiff_t>(end));
    filter.feed(std::string_view(piece.data(), piece.size()), out);
    gather();
    begin = end;
  };
  for (const std::size_t cut : cuts) feed_to(cut);
  feed_to(bytes.size());
  seen.said_all = filter.ended();
  if (ending == Ending::clean) {
    filter.finish(out);
    gather();
  }
  seen.content = filter.content_seen();
  seen.terminal = filter.terminal_seen();
  seen.mid_event = filter.mid_event();
  if (filter.usage()) {
    seen.input = filter.usage()->input;
    seen.cached = filter.usage()->cached;
    seen.out_tokens = filter.usage()->output;
    seen.reasoning = filter.usage()->reasoning;
  }
  seen.error = filter.error_event();
  seen.events = filter.events();
  seen.contents = filter.contents();
  seen.keepalives = filter.keepalives_absorbed();
  return seen;
}

inline std::vector<std::size_t> every_byte(std::size_t size) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

}  // namespace weir::protocol
