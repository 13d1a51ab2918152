#include "proxy/admission_refusal.hpp"

#include <algorithm>

#include "observe/text_writer.hpp"
#include "proxy/duration_in_words.hpp"

namespace weir::proxy {
namespace {

using admission::Meter;
using admission::Refusal::bytes_full;
using admission::Refusal::day;
using admission::Refusal::deadline;
using admission::Refusal::oversize;
using admission::Refusal::queue_full;
using observe::TextWriter;
using std::chrono::milliseconds;

// openai-python does not come back after a longer wait; openai-node and openai-go would sleep for hours.
constexpr std::chrono::seconds sdk_sleeps_max{120};

std::string limit_of(const AdmissionFacts& facts, Meter meter) {
  return facts.budget ? limit_in_words(*facts.budget, meter) : "the queue";
}

// " (x-weir-max-wait)"
std::string source_of_bound(const AdmissionFacts& facts) {
  return facts.bounded_by.empty() ? std::string() : " (" + std::string(facts.bounded_by) + ")";
}

// Why nothing is left of a day for it.
std::string day_in_words(const admission::Rejection& rejection, const AdmissionFacts& facts) {
  const auto limit = facts.budget ? facts.budget->limit(rejection.meter) : std::nullopt;
  const admission::Tokens left = limit && facts.taken ? *limit - *facts.taken : 0;
  if (left <= 0) return "The budget of the day is used up: ";
  std::string text = "The request needs " + std::to_string(rejection.needs) + " " +
                     std::string(counted(rejection.meter)) + " and the day has " + std::to_string(left) + " left";
  if (const auto ahead = rejection.requests_ahead; ahead > 0)
    text += " for it and " + std::to_string(ahead) + (ahead == 1 ? " other" : " others") + " before it";
  return text + ": ";
}

// A call may be larger than a budget where it runs alone and pays for a while, but not for ever.
std::string oversize_in_words(const admission::Rejection& rejection, const AdmissionFacts& facts) {
  const std::string limit = limit_of(facts, rejection.meter);
  const std::string what(counted(rejection.meter));
  const std::string text = "The request needs " + std::to_string(facts.asked) + " " + what + ", which is too much for ";
  if (rejection.most == 0) return text + "a whole budget of " + limit + "; send less at once.";
  return text + limit + ": one larger than that runs alone and is in debt afterwards, if it needs " +
         std::to_string(rejection.most) + " " + what + " at most; send less at once.";
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
  WhyWaiting why{facts.budget, rejection.meter, facts.taken,     0,           {},
                 room_in,      facts.pause,     rejection.needs, rejection.by};
  bool retry = true;
  switch (rejection.reason) {
    case queue_full:
    case bytes_full:
      refusal.code = "weir_queue_full";
      refusal.message = "weir's queue is full (" + std::to_string(facts.waiting) + " requests wait, " +
                        (rejection.reason == queue_full ? "queue.requests_max" : "queue.bytes_max") +
                        "): the first of them " + why_waiting(why) + ".";
      if (!room_in) room_in = milliseconds(1000);
      break;
    case deadline:
      refusal.code = "weir_deadline";
      why.ahead = rejection.requests_ahead;
      refusal.message = "The request may wait " + duration_in_words(facts.wait_bound) + source_of_bound(facts) +
                        ", which is too short: it " + why_waiting(why) + ".";
      retry = !facts.pause || !room_in || *room_in <= sdk_sleeps_max;
      break;
    case day:
      refusal.code = "weir_budget_day";
      refusal.message = day_in_words(rejection, facts) + limit + " has room again in about " +
                        (room_in ? duration_in_words(*room_in) : std::string("a day")) + ".";
      retry = false;
      break;
    case oversize:
      refusal.code = "weir_oversize";
      refusal.message = oversize_in_words(rejection, facts);
      room_in.reset();
      retry = false;
      break;
  }
  if (room_in) say_when(refusal, *room_in);
  refusal.headers.emplace_back("x-should-retry", retry ? "true" : "false");
  return refusal;
}

namespace {

// "1h2m3.45s"
void add_openai_duration(TextWriter& out, std::chrono::nanoseconds duration) {
  const auto all =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(duration).count()));
  if (all < 1000) {
    out << all << "ms";
    return;
  }
  const std::uint64_t hours = all / 3'600'000, minutes = all / 60'000 % 60, rest = all % 60'000;
  if (hours > 0) out << hours << 'h';
  if (hours > 0 || minutes > 0) out << minutes << 'm';
  out << rest / 1000;
  if (std::uint64_t fraction = rest % 1000; fraction != 0) {
    std::size_t digits = 3;
    for (; fraction % 10 == 0; fraction /= 10) --digits;
    out << '.';
    out.digits(fraction, digits);
  }
  out << 's';
}

void add_rate_limits(TextWriter& out, std::string_view what, const std::optional<admission::MeterView>& view) {
  if (!view || !view->limit) return;
  const auto number = [](admission::Tokens tokens) {
    return static_cast<std::uint64_t>(std::max<admission::Tokens>(0, tokens));
  };
  out.write("x-ratelimit-limit-", what, ": ") << number(*view->limit);
  const admission::Tokens left = *view->limit - view->used - view->reserved;
  out.write("\r\nx-ratelimit-remaining-", what, ": ") << number(left);
  out.write("\r\nx-ratelimit-reset-", what, ": ");
  add_openai_duration(out, view->full_in);
  out << "\r\n";
}

}  // namespace

std::string openai_duration(std::chrono::nanoseconds duration) {
  TextWriter out(32);
  add_openai_duration(out, duration);
  return out.take();
}

std::string rate_limit_lines(const std::optional<admission::MeterView>& requests,
                             const std::optional<admission::MeterView>& tokens) {
  TextWriter out(256);
  add_rate_limits(out, "requests", requests);
  add_rate_limits(out, "tokens", tokens);
  return out.take();
}

}  // namespace weir::proxy
