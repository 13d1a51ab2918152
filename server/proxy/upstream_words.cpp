#include "proxy/upstream_words.hpp"

#include <algorithm>
#include <array>

#include "protocol/limit_figures.hpp"
#include "protocol/rate_limit_headers.hpp"
#include "proxy/budgets.hpp"

namespace weir::proxy {
namespace {

using admission::Crowding;
using admission::Meter;
using admission::SaidOfMeter;
using admission::Source;
using admission::Tokens;
using protocol::LimitFigures;
using protocol::MeterReading;
using std::chrono::milliseconds;

// More fields of one head are not looked at.
constexpr std::size_t fields_max = 24;
constexpr milliseconds rounding{1000};

constexpr std::uint64_t figure_max = 1'000'000'000'000;

// This instance's part of a figure.
Tokens part_of(std::uint64_t figure, const Upstream& upstream) {
  return static_cast<Tokens>(shared_part(std::min(figure, figure_max), upstream.share));
}

class Said {
 public:
  explicit Said(const Upstream& upstream) : upstream_(upstream) {}

  // A limit of a shorter window comes to so much more in ours. What was used of it is used of ours, and not more.
  void add(Meter meter, const MeterReading& reading, Duration window) {
    std::optional<std::uint64_t> used;
    if (reading.limit && reading.remaining) used = *reading.limit - std::min(*reading.limit, *reading.remaining);
    const auto times = static_cast<std::uint64_t>(upstream_.limits.window / window);
    const auto limit = reading.limit ? std::optional(std::min(*reading.limit, figure_max) * times) : std::nullopt;
    add(meter, Source::header, limit, used);
  }
  void add(Meter meter, Source source, std::optional<std::uint64_t> limit, std::optional<std::uint64_t> used) {
    if (!limit || *limit == 0) return;
    const auto end = said_.begin() + static_cast<std::ptrdiff_t>(count_);
    const auto same = std::find_if(said_.begin(), end, [&](const SaidOfMeter& each) { return each.meter == meter; });
    // Of two for one meter (OpenAI: of all its tokens, and of the project's) the tighter holds.
    if (same == said_.end() || (same != end && *same->limit <= part_of(*limit, upstream_))) return;
    if (same == end) ++count_;
    SaidOfMeter& made = *same;
    made = {};
    made.meter = meter;
    made.source = source;
    made.limit = part_of(*limit, upstream_);
    // Of an account that is shared out the others' use is none of ours.
    if (used && upstream_.share >= 1) made.used = part_of(*used, upstream_);
  }
  std::span<const SaidOfMeter> all() const { return {said_.data(), count_}; }

 private:
  const Upstream& upstream_;
  std::array<SaidOfMeter, 6> said_;
  std::size_t count_ = 0;
};

std::optional<Meter> meter_named(std::string_view word, LimitFigures::Of of) {
  if (word == "rpm") return Meter::requests;
  if (word == "tpm") return Meter::tokens;
  if (word == "input_tpm") return Meter::input;
  if (word == "output_tpm") return Meter::output;
  if (!word.empty()) return std::nullopt;
  if (of == LimitFigures::Of::requests) return Meter::requests;
  if (of == LimitFigures::Of::tokens) return Meter::tokens;
  return std::nullopt;
}

bool tells_of_meters(const net::MessageHead& head) {
  return std::any_of(head.fields.begin(), head.fields.end(),
                     [](const net::Field& field) { return protocol::tells_of_a_meter(field.name); });
}

// The window of a reading: the one it names, else the account's, if it is full again within it. Otherwise the next
// longer: Groq's requests are those of a day, and of Together's some copies of its pages name a minute.
Duration window_of(const MeterReading& reading, const Upstream& upstream) {
  Duration window = reading.window.count() > 0 ? Duration(reading.window) : upstream.limits.window;
  for (const Duration longer : {upstream.limits.window, Duration(std::chrono::hours(24))}) {
    if (reading.reset && *reading.reset > window + rounding) window = longer;
  }
  return window;
}

// Calls each(meter, reading, window) for the meters that a head tells of, as far as it is believed.
template <typename Each>
void each_reading(const Upstream& upstream, const net::MessageHead& head, Each each) {
  std::array<protocol::HeaderField, fields_max> fields;
  std::size_t count = 0;
  for (const net::Field& field : head.fields) {
    if (count < fields.size() && protocol::tells_of_a_meter(field.name)) fields[count++] = {field.name, field.value};
  }
  if (count == 0) return;
  const auto now = std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  const auto read =
      protocol::parse_rate_limit_headers(std::span<const protocol::HeaderField>(fields.data(), count), now);
  const auto tell = [&](Meter meter, const MeterReading& reading) {
    if (reading.any()) each(meter, reading, window_of(reading, upstream));
  };
  if (upstream.limit_headers == LimitHeaders::all) tell(Meter::requests, read.requests);
  // Fireworks limits all input, and tighter what was not in its cache: whichever our meter counts.
  const bool uncached = upstream.charge.cached_input_free && read.uncached_input_tokens.any();
  tell(Meter::input, uncached ? read.uncached_input_tokens : read.input_tokens);
  tell(Meter::output, read.output_tokens);
  // Beside those two Anthropic's plain one shows the tighter of them.
  if (!read.input_tokens.any() && !read.output_tokens.any()) tell(Meter::tokens, read.tokens);
  tell(Meter::tokens, read.project_tokens);
}

}  // namespace

void hear_head(Turn& turn, const Upstream& upstream, const net::MessageHead& head) {
  if (upstream.limit_headers == LimitHeaders::none) return;
  Said said(upstream);
  each_reading(upstream, head, [&](Meter meter, const MeterReading& reading, Duration window) {
    if (window <= upstream.limits.window) said.add(meter, reading, window);
  });
  if (!said.all().empty()) turn.hear(true, said.all());  // they count per model
}

std::optional<milliseconds> wait_for_room(const Upstream& upstream, const net::MessageHead& head,
                                          std::uint64_t tokens) {
  if (upstream.limit_headers == LimitHeaders::none) return std::nullopt;
  std::optional<milliseconds> wait;
  each_reading(upstream, head, [&](Meter meter, const MeterReading& reading, Duration window) {
    if (!reading.limit || *reading.limit == 0 || !reading.remaining) return;
    const std::uint64_t needed = std::min(meter == Meter::requests ? 1 : tokens, *reading.limit);
    if (*reading.remaining >= needed) return;
    const double part = static_cast<double>(needed - *reading.remaining) / static_cast<double>(*reading.limit);
    auto lacks = std::chrono::ceil<milliseconds>(std::chrono::duration<double, std::milli>(window) * part);
    if (window > upstream.limits.window && reading.reset) lacks = std::min(lacks, *reading.reset);
    wait = std::max(wait.value_or(milliseconds(0)), lacks);
  });
  return wait;
}

void hear_refusal(Turn& turn, const Upstream& upstream, const Diagnosis& diagnosis, const net::MessageHead& head,
                  const protocol::UpstreamError& error) {
  Crowding crowding;
  if (diagnosis.cause == Cause::ramp) {
    crowding.kind = Crowding::Kind::too_steep;
    return turn.crowded(diagnosis.of_model, crowding);
  }
  if (diagnosis.cause != Cause::concurrency && diagnosis.cause != Cause::minute_budget) return;
  const LimitFigures figures = protocol::read_limit_figures(error.message);
  if (diagnosis.cause == Cause::concurrency) {
    if (figures.limit && figures.of == LimitFigures::Of::concurrency && *figures.limit > 0)
      crowding.allowed = part_of(*figures.limit, upstream);
    return turn.crowded(diagnosis.of_model, crowding);
  }
  const auto meter = meter_named(diagnosis.meter, figures.of);
  Said said(upstream);
  if (meter) said.add(*meter, Source::body, figures.limit, figures.used);
  if (!said.all().empty()) return turn.hear(diagnosis.of_model, said.all());
  // It says neither what is full nor when to come back: with no limit known here, calls at once are what can be tried.
  const bool says_nothing = diagnosis.meter.empty() && figures.of == LimitFigures::Of::unknown && !diagnosis.hint &&
                            !tells_of_meters(head) && !upstream.limits.any();
  if (says_nothing) turn.crowded(diagnosis.of_model, crowding);
}

}  // namespace weir::proxy
