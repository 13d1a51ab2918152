#include "proxy/learned_answers.hpp"

#include <algorithm>

#include "protocol/error_body.hpp"
#include "proxy/admission_refusal.hpp"
#include "proxy/duration_in_words.hpp"

namespace weir::proxy {
namespace {

using admission::Scope;
using protocol::json_quote;

// One upstream may have many models.
constexpr std::size_t models_shown_max = 50;

// "ark-1", "ark-1/deepseek-r1", "ark-1@alice", "ark-1@alice/deepseek-r1".
bool belongs_to(std::string_view budget, std::string_view upstream) {
  if (!budget.starts_with(upstream)) return false;
  return budget.size() == upstream.size() || budget[upstream.size()] == '/' || budget[upstream.size()] == '@';
}

std::string_view words_of(admission::Source source) {
  switch (source) {
    case admission::Source::header:
      return "it says so beside its answers";
    case admission::Source::body:
      return "it said so when it turned a call away";
    case admission::Source::outcome:
      break;
  }
  return "it turned calls away";
}

}  // namespace

std::string_view word_of(admission::Source source) {
  constexpr std::string_view words[] = {"header", "body", "outcome"};
  return words[static_cast<std::size_t>(source)];
}

std::vector<LearnedAt> learned_limits(AdmissionGate& gate, const Settings& settings) {
  return gate.with([&](admission::Scheduler& scheduler) {
    std::vector<LearnedAt> all;
    for (admission::BudgetId id = 0; id < scheduler.budget_count(); ++id) {
      const admission::BudgetLimits& limits = scheduler.limits_of(id);
      if (limits.scope != Scope::account && limits.scope != Scope::model) continue;
      const auto views = scheduler.learned(id, net::Clock::now());
      if (views.empty()) continue;
      for (const Upstream& upstream : settings.upstreams) {
        if (!belongs_to(limits.name, upstream.name)) continue;
        for (const admission::LearnedView& view : views)
          all.push_back({upstream.name, limits.scope, limits.name, view});
      }
    }
    return all;
  });
}

std::string learned_json(const std::vector<LearnedAt>& all, std::string_view upstream, admission::Instant now) {
  using std::chrono::milliseconds;
  std::string out;
  std::size_t shown = 0;
  for (const LearnedAt& each : all) {
    if (each.upstream != upstream || shown++ == models_shown_max) continue;
    const admission::LearnedLimit& learned = each.view.learned;
    const auto ago = std::chrono::floor<milliseconds>(now - learned.at);
    const auto left = std::chrono::ceil<milliseconds>(learned.until - now);
    const std::string limit = std::to_string(learned.limit);
    const std::string words = each.name + ": " + std::string(word_of(each.view.meter)) + " at most " + limit +
                              ", since " + std::string(words_of(learned.source)) + " " + duration_in_words(ago) +
                              " ago; forgotten in " + duration_in_words(left) + " unless it happens again.";
    out += (out.empty() ? "" : ",") + std::string(R"({"scope":")") + std::string(word_of(each.scope)) + R"(","name":)" +
           json_quote(each.name) + R"(,"meter":")" + std::string(word_of(each.view.meter)) + R"(","limit":)" + limit +
           R"(,"source":")" + std::string(word_of(learned.source)) + R"(","learned_ms_ago":)" +
           std::to_string(ago.count()) + R"(,"expires_in_ms":)" + std::to_string(left.count()) + R"(,"words":)" +
           json_quote(words) + "}";
  }
  return out;
}

std::vector<observe::Levels::Learned> learned_levels(const std::vector<LearnedAt>& all) {
  std::vector<observe::Levels::Learned> levels;
  for (const LearnedAt& each : all) {
    observe::Levels::Learned level{each.upstream, std::string(word_of(each.view.meter)),
                                   std::string(word_of(each.view.learned.source)), each.view.learned.limit};
    const auto same = std::find_if(levels.begin(), levels.end(), [&](const auto& other) {
      return other.upstream == level.upstream && other.meter == level.meter && other.source == level.source;
    });
    if (same == levels.end()) {
      levels.push_back(std::move(level));
    } else {
      same->limit = std::min(same->limit, level.limit);
    }
  }
  return levels;
}

}  // namespace weir::proxy
