// What is known of one exchange at its end, for the log and the metrics. Never a prompt, a completion or a secret: the
// record has no field that could hold one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/content_gaps.hpp"

namespace weir::observe {

// One call to an upstream and what came of it.
struct UpstreamTry {
  std::string upstream;
  int status = 0;           // 0: no answer
  std::string cause;        // why it failed: a word of the provider files or weir's own code; empty: it did not
  bool unanswered = false;  // it was sent in full, and no answer came or none that was whole: may have been billed
};

struct ExchangeRecord {
  std::string request_id;
  std::string client;           // key name, "key-1a2b3c4d", "open"
  std::string client_identity;  // by which it is told from others; empty: `client`
  std::string address;          // of whoever cannot be named: no head that can be read, no key that is known
  std::string method;
  std::string path;            // without the query, which may hold anything
  std::string_view operation;  // chat, text_completion, embeddings, responses, messages; a literal; empty: other
  std::string_view priority;   // interactive, normal, background; a literal; empty: it never stood in line
  std::string model;
  std::string upstream;
  std::string upstream_request_id;
  std::string trace_id;    // of the W3C trace context that came with the request
  std::string_view cause;  // of an upstream's refusal: a word of the provider files; a literal
  std::string error;       // weir's code; empty: none
  std::string detail;      // what went wrong in words
  std::string outcome;     // ok, refused, upstream_error, upstream_failed, client_left, shutdown
  int status = 0;
  bool stream = false;
  unsigned attempts = 0;
  std::vector<UpstreamTry> tries;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t events = 0, keepalives_absorbed = 0, heartbeats_sent = 0;
  ContentGaps content_gaps;
  std::optional<std::uint64_t> input_tokens, cached_tokens, output_tokens, reasoning_tokens;
  std::optional<std::uint64_t> estimated_input_tokens;
  // Of a stream that was cut off before the upstream said what it used: what the budgets were charged.
  std::uint64_t cut_input_tokens = 0, cut_output_tokens = 0;
  std::optional<double> cost;  // by the dated prices of the provider file; nullopt: not known
  std::string currency;
  std::chrono::microseconds duration{0};
  std::optional<std::chrono::microseconds> queued;  // in line for budget, over all attempts; nullopt: it had no place
  std::chrono::milliseconds queued_upstream{0};     // in the line of another weir that is the upstream, as it says
  std::optional<std::uint64_t> reserved_tokens;
  std::optional<std::chrono::microseconds> first_byte, first_content;  // since the request's head was read
};

}  // namespace weir::observe
