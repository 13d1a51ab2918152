#include "proxy/why.hpp"

#include <algorithm>

#include "proxy/admission_refusal.hpp"
#include "proxy/duration_in_words.hpp"

namespace weir::proxy {
namespace {

using admission::Meter;

// "tokens per minute", "tokens in 2 s"
std::string in_words(Meter meter, std::chrono::nanoseconds window) {
  std::string text(counted(meter));
  if (meter == Meter::in_flight) return text;
  if (meter == Meter::requests_day || meter == Meter::tokens_day) return text + " per day";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(window);
  if (seconds == std::chrono::minutes(1)) return text + " per minute";
  if (seconds == std::chrono::seconds(1)) return text + " per second";
  if (seconds == std::chrono::hours(1)) return text + " per hour";
  return text + " in " + std::to_string(seconds.count()) + " s";
}

// A call takes one of the others.
bool counts_tokens(Meter meter) {
  return meter != Meter::requests && meter != Meter::requests_day && meter != Meter::in_flight;
}

std::string owner(const admission::BudgetLimits& budget) {
  return "the " + std::string(word_of(budget.scope)) + " '" + budget.name + "'";
}

// "tokens per minute of the upstream 'ark-1'", or what of them lets the call through in its time only.
std::string waited_for(const WhyWaiting& why) {
  const admission::BudgetLimits& budget = *why.budget;
  const auto limit = budget.limit(why.meter);
  std::string meter = in_words(why.meter, budget.window) + " of " + owner(budget);
  const std::string whole = "the " + (limit ? std::to_string(*limit) + " " : "") + meter;
  if (why.by == admission::Hold::slice) {
    const auto slice = std::chrono::ceil<std::chrono::milliseconds>(std::min(budget.pacing, budget.window));
    return "a slice of " + duration_in_words(slice) + " (pacing) of " + whole;
  }
  if (why.by == admission::Hold::burst)
    return "the even rate (burst: " + std::to_string(budget.burst.value_or(0)) + ") of " + whole;
  return meter;
}

// " (4980000 of 5000000 taken, it needs 30000)"
std::string in_numbers(const WhyWaiting& why) {
  std::string text;
  const auto limit = why.budget->limit(why.meter);
  if (limit && why.by == admission::Hold::window) {
    text = why.taken ? std::to_string(*why.taken) + " of " + std::to_string(*limit) + " taken"
                     : "limit " + std::to_string(*limit);
  }
  if (counts_tokens(why.meter) && why.needs > 0)
    text += (text.empty() ? "it needs " : ", it needs ") + std::to_string(why.needs);
  return text.empty() ? text : " (" + text + ")";
}

}  // namespace

std::string_view counted(Meter meter) {
  switch (meter) {
    case Meter::requests:
    case Meter::requests_day:
      return "requests";
    case Meter::tokens:
    case Meter::tokens_day:
      return "tokens";
    case Meter::input:
      return "input tokens";
    case Meter::output:
      return "output tokens";
    case Meter::in_flight:
      return "requests in flight";
  }
  return {};
}

std::string limit_in_words(const admission::BudgetLimits& budget, Meter meter) {
  std::string text = owner(budget);
  if (const auto limit = budget.limit(meter)) {
    text +=
        " (" + std::string(word_of(meter)) + ": " + std::to_string(*limit) + " " + in_words(meter, budget.window) + ")";
  }
  return text;
}

std::string why_waiting(const WhyWaiting& why) {
  std::string text = "waits for its turn";
  if (why.budget && why.pause) {
    text = "waits out a pause of " + owner(*why.budget);
    if (why.pause->asked.count() > 0)
      text += " (the upstream asked for one of " + duration_in_words(why.pause->asked) + ")";
  } else if (why.budget) {
    text = "waits for " + waited_for(why) + in_numbers(why);
  }
  if (why.ahead > 0) {
    text += " behind " + std::to_string(why.ahead) + (why.ahead == 1 ? " other" : " others");
    if (!why.next.empty()) text += ", the next of '" + std::string(why.next) + "'";
  }
  return text + "; it can start " +
         (why.starts_in ? "in about " + duration_in_words(*why.starts_in)
                        : std::string("at a time that nobody knows yet"));
}

}  // namespace weir::proxy
