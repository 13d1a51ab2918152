// How one request is to be answered: the options, overridden by the x-sim-… headers it came with (docs/simulator.md
// lists them). Everything a test wants to go wrong is said here. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <variant>

#include "net/head.hpp"
#include "simulator/options.hpp"

namespace weir::simulator {

// What goes wrong. Contents are events with a token in them; for an answer that is no stream, bytes of its body.
struct Faults {
  int status = 0;                            // x-sim-status: answer this at once; 0: none
  std::optional<std::uint64_t> stall_after;  // contents, then silence
  std::optional<std::uint64_t> drop_after;   // contents, then a reset; 0: before the head
  bool drop_after_head = false;              // x-sim-drop-after: head
  std::optional<std::uint64_t> end_after;    // contents, then a clean end without finish
  std::optional<std::uint64_t> error_after;  // contents, then an error event and a clean end
  bool error_in_200 = false;                 // an error object where the answer should be
};

// How the bytes are cut on their way out.
struct Cutting {
  enum class Mode {
    as_due,  // each event a chunk, all that are due in one write
    each,    // each event a chunk and a write
    merge,   // several events in one chunk
    bytes,   // every `bytes` bytes a chunk and a write; the head is cut too
  };
  Mode mode = Mode::as_due;
  std::size_t bytes = 1;
};

struct Behaviour {
  Duration ttft{0};
  double tokens_per_second = 0;
  std::uint64_t output_tokens = 0;
  std::optional<std::uint64_t> reasoning_tokens;  // nullopt: half the answer for a reasoning model, else none
  std::uint64_t cached_tokens = 0;                // reported as read from the cache
  Duration keepalive_every{0};
  bool early_head = false;  // the head at once, not with the first token

  std::string scenario;                 // whose count fail_first and fault_count use
  std::optional<FailFirst> fail_first;  // by header; the option's counts all requests
  FailRate fail_rate;                   // of inference requests
  std::uint64_t fault_count =
      std::numeric_limits<std::uint64_t>::max();  // the faults hold for the first so many of the scenario
  Faults faults;
  // Of scripted errors.
  std::string error_code;     // empty: what fits the status
  std::string error_message;  // the same
  std::string error_body;     // not empty: all of it, whatever the voice
  std::string retry_after;    // "2" or "150ms", or any other value of the field retry-after

  Cutting cutting;
  bool crlf = false;         // events end in CR LF
  bool until_close = false;  // neither length nor chunks: the body ends with the connection
  bool chunked = false;      // also where the length is known
  bool gzip = false;         // an answer that is no stream is compressed
  bool close_after = false;  // closes after the answer without having said so

  Duration token_interval() const;  // 0: as fast as possible
};

// The error names the header.
std::variant<Behaviour, std::string> read_behaviour(const Options& options, const net::RequestHead& head);

}  // namespace weir::simulator
