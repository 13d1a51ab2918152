#include "proxy/admission_refusal.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace weir::proxy {
namespace {

using admission::Meter;
using admission::Refusal::bytes_full;
using admission::Refusal::day;
using admission::Refusal::deadline;
using admission::Refusal::oversize;
using admission::Refusal::queue_full;
using std::chrono::milliseconds;

// openai-python does not come back after a longer wait; openai-node and openai-go would sleep for hours.
constexpr std::chrono::seconds sdk_sleeps_max{120};

std::string limit_of(const AdmissionFacts& facts, Meter meter) {
  return facts.budget ? limit_in_words(*facts.budget, meter) : "the queue";
}

}  // namespace

std::string_view word_of(Meter meter) {
  constexpr std::string_view words[] = {"rpm", "tpm", "input_tpm", "output_tpm", "rpd", "tpd", "concurrency"};
  return words[static_cast<std::size_t>(meter)];
}

std::string_view word_of(admission::Scope scope) {
  constexpr std::string_view words[] = {"key", "team", "upstream", "model"};
  return words[static_cast<std::size_t>(scope)];
}

Refusal refuse_admission(const admission::Rejection& rejection, const AdmissionFacts& facts, admission::Instant now) {
  Refusal refusal;
  refusal.status = 429;
  refusal.type = "rate_limit_error";
  std::optional<milliseconds> room_in;
  if (rejection.room_at != admission::never && rejection.room_at > now) {
    room_in = std::chrono::ceil<milliseconds>(rejection.room_at - now);
  }
  const std::string limit = limit_of(facts, rejection.meter);
  bool retry = true;
  switch (rejection.reason) {
    case queue_full:
    case bytes_full:
      refusal.code = "weir_queue_full";
      refusal.message = "weir's queue is full (" + std::to_string(facts.waiting) + " requests wait, " +
                        (rejection.reason == queue_full ? "queue.requests_max" : "queue.bytes_max") +
                        "): the first of them " +
                        why_waiting({facts.budget, rejection.meter, facts.taken, 0, {}, room_in, facts.pause}) + ".";
      if (!room_in) room_in = milliseconds(1000);
      break;
    case deadline:
      refusal.code = "weir_deadline";
      refusal.message =
          "The request may wait " + seconds_in_words(facts.wait_bound) + ", which is too short: it " +
          why_waiting(
              {facts.budget, rejection.meter, facts.taken, rejection.requests_ahead, {}, room_in, facts.pause}) +
          ".";
      retry = !facts.pause || !room_in || *room_in <= sdk_sleeps_max;
      break;
    case day:
      refusal.code = "weir_budget_day";
      refusal.message = "The budget of the day is used up: " + limit + " has room again in about " +
                        (room_in ? seconds_in_words(*room_in) : std::string("a day")) + ".";
      retry = false;
      break;
    case oversize:
      refusal.code = "weir_oversize";
      refusal.message = "The request needs " + std::to_string(facts.asked) + " " +
                        std::string(counted(rejection.meter)) + ", which is too much for a whole budget of " + limit +
                        "; send less at once.";
      room_in.reset();
      retry = false;
      break;
  }
  if (room_in) say_when(refusal, *room_in);
  refusal.headers.emplace_back("x-should-retry", retry ? "true" : "false");
  return refusal;
}

std::string openai_duration(std::chrono::nanoseconds duration) {
  const auto all = std::chrono::ceil<milliseconds>(duration).count();
  if (all < 1000) return std::to_string(all) + "ms";
  const auto hours = all / 3'600'000, minutes = all / 60'000 % 60, rest = all % 60'000;
  std::string text;
  if (hours > 0) text += std::to_string(hours) + "h";
  if (hours > 0 || minutes > 0) text += std::to_string(minutes) + "m";
  text += std::to_string(rest / 1000);
  if (rest % 1000 != 0) {
    std::string fraction = std::to_string(rest % 1000);
    fraction.insert(0, 3 - fraction.size(), '0');
    text += "." + fraction.substr(0, fraction.find_last_not_of('0') + 1);
  }
  return text + "s";
}

std::string rate_limit_lines(const std::optional<admission::MeterView>& requests,
                             const std::optional<admission::MeterView>& tokens) {
  std::string lines;
  lines.reserve(256);
  const auto line = [&](std::string_view name, std::string_view what, std::string_view value) {
    lines.append(name).append(what).append(": ").append(value).append("\r\n");
  };
  const auto number = [&](std::string_view name, std::string_view what, admission::Tokens value) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    line(name, what, {digits.data(), end});
  };
  const auto add = [&](std::string_view what, const std::optional<admission::MeterView>& view) {
    if (!view || !view->limit) return;
    number("x-ratelimit-limit-", what, *view->limit);
    number("x-ratelimit-remaining-", what, std::max<admission::Tokens>(0, *view->limit - view->used - view->reserved));
    line("x-ratelimit-reset-", what, openai_duration(view->full_in));
  };
  add("requests", requests);
  add("tokens", tokens);
  return lines;
}

}  // namespace weir::proxy
