// The words of the admission core: time, tokens, scopes, what a request costs. Values only.
//
// Time is handed in as an Instant; nothing here looks at a clock. Tokens and requests are counted in integers, so that
// the same calls with the same instants give the same decisions on every machine.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace weir::admission {

using Duration = std::chrono::steady_clock::duration;
using Instant = std::chrono::steady_clock::time_point;  // monotonic; only a type: whoever calls knows the clock
using Tokens = std::int64_t;                            // signed: a budget may be in debt
using Rng = std::mt19937_64;

constexpr Instant never = Instant::max();
// Nothing is owed or predicted for longer: an instant beyond it would not fit.
constexpr Duration time_max = std::chrono::hours(24 * 3650);
// Of one call. Counts come from outside, and sums of them have to fit.
constexpr Tokens tokens_of_call_max = 1'000'000'000;
constexpr Tokens tokens_of(std::uint64_t count) {
  return count < std::uint64_t{tokens_of_call_max} ? static_cast<Tokens>(count) : tokens_of_call_max;
}

// Whose budget it is. A request counts against one of each, as far as they exist.
enum class Scope : std::uint8_t { key, team, account, model };  // model: an account's share of one model
constexpr std::size_t scope_count = 4;

// Index of a budget; stable for the life of the process, also across reloads.
using BudgetId = std::uint32_t;
constexpr BudgetId no_budget = std::numeric_limits<BudgetId>::max();

enum class Priority : std::uint8_t { interactive, normal, background };
constexpr std::size_t priority_count = 3;

// What is limited, the seven limit words of the configuration.
enum class Meter : std::uint8_t {
  requests,      // rpm
  tokens,        // tpm
  input,         // input_tpm
  output,        // output_tpm
  requests_day,  // rpd
  tokens_day,    // tpd
  in_flight,     // concurrency
};
constexpr std::size_t meter_count = 7;

// A waiting or running request. Never reused: the generation tells an old ticket from a new one in the same place.
struct Ticket {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const Ticket&, const Ticket&) = default;
};

// When the tokens that are not charged on arrival are charged.
enum class LaterCharge : std::uint8_t {
  none,         // everything is charged on arrival
  as_produced,  // output, token by token
  at_end,       // input and output together, when the answer is complete
};

// What one request costs the budgets of one side (a caller's own, or the upstream's), by that side's charge rule.
struct Cost {
  // Charged when the request is sent. `tokens` is not always input + output: OpenAI takes the larger of two figures.
  Tokens tokens = 0;
  Tokens input = 0;
  Tokens output = 0;
  // Charged later: a forecast, and the most it can come to.
  Tokens later_input = 0;   // at_end only
  Tokens later_output = 0;  // expected
  Tokens output_max = 0;    // what the request's cap bounds it to; 0: unknown
  LaterCharge later = LaterCharge::none;
  bool lump = false;  // what is expected is reserved in full until it is settled: exact with a cap as the forecast
  // Whether settling corrects what was charged on arrival to what was used (and books it where it was charged).
  bool corrects = false;
  bool cached_input_free = false;  // cached input does not count

  // For the fair order and for predictions, at least 1.
  Tokens expected_size() const { return std::max<Tokens>(1, tokens + later_input + later_output); }
  // Of it, what nobody knows before the answer has come.
  Tokens guessed_size() const { return expected_size() - tokens; }
};

// What a prediction rests on: also on what is expected of calls, or on what is charged and will be charged on arrival.
enum class Basis : std::uint8_t { guesses, knowledge };

// How output comes, as learned by the caller: the shape of the forecast.
struct OutputPace {
  Duration first_after = std::chrono::milliseconds(800);  // from sending to the first token
  Tokens per_second = 50;
  // Expected rest of an answer of which p tokens have come: later_output + tail * p / 16, at least zero. Heavy-tailed
  // lengths have a positive tail (8 fits a log-normal of sigma 1.1), a known length has -16.
  int tail = 8;
};

// What was really used. A field that was not reported keeps the estimate.
struct Usage {
  bool known = false;
  Tokens input = 0;
  Tokens cached = 0;  // of input
  Tokens output = 0;
};

// How a call ended.
enum class Ending : std::uint8_t {
  complete,  // `usage` says what was used, or the estimate stands
  refused,   // the upstream turned it away: it counts a request, and no tokens
  cut_off,   // ended from our side: as complete, but the upstream learns of it a moment later
  lost,      // sent, and nobody knows what became of it: charged in full
};

}  // namespace weir::admission
