// The figures in the message of an OpenAI-style 429: "... on tokens per min (TPM): Limit 30000, Used 29500, Requested
// 1200. Please try again in 1.4s." `Requested` is what the provider charged, or would have, on arrival: the one place
// where its own estimate shows. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::protocol {

struct RequestedFigure {
  bool of_tokens = false;  // else of requests, images, ...
  std::uint64_t limit = 0;
  std::optional<std::uint64_t> used;  // absent when one request alone is too large
  std::uint64_t requested = 0;
  std::optional<std::chrono::milliseconds> try_again_in;  // rounded up
};

// nullopt: the message carries no `Limit` or no `Requested`.
std::optional<RequestedFigure> read_requested_figure(std::string_view message);

// "1.4s", "820ms", "6m0s", "1h2m3s"; nullopt: none of these.
std::optional<std::chrono::milliseconds> parse_wait(std::string_view text);

}  // namespace weir::protocol
