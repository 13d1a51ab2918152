#include "proxy/why.hpp"

#include <algorithm>

#include "proxy/admission_refusal.hpp"

namespace weir::proxy {
namespace {

using admission::Meter;
using std::chrono::milliseconds;

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

std::string owner(const admission::BudgetLimits& budget) {
  return "the " + std::string(word_of(budget.scope)) + " '" + budget.name + "'";
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

std::string seconds_in_words(milliseconds duration) {
  const auto tenths = (std::max<milliseconds::rep>(0, duration.count()) + 99) / 100;
  return std::to_string(tenths / 10) + (tenths % 10 ? "." + std::to_string(tenths % 10) : "") + " s";
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
      text += " (the upstream asked for one of " + seconds_in_words(why.pause->asked) + ")";
  } else if (why.budget) {
    text = "waits for " + in_words(why.meter, why.budget->window) + " of " + owner(*why.budget);
    if (const auto limit = why.budget->limit(why.meter)) {
      text += why.taken ? " (" + std::to_string(*why.taken) + " of " + std::to_string(*limit) + " taken)"
                        : " (limit " + std::to_string(*limit) + ")";
    }
  }
  if (why.ahead > 0) {
    text += " behind " + std::to_string(why.ahead) + (why.ahead == 1 ? " other" : " others");
    if (!why.next.empty()) text += ", the next of '" + std::string(why.next) + "'";
  }
  return text + "; it can start " +
         (why.starts_in ? "in about " + seconds_in_words(*why.starts_in)
                        : std::string("at a time that nobody knows yet"));
}

}  // namespace weir::proxy
