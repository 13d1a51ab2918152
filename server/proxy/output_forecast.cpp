#include "proxy/output_forecast.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

namespace weir::proxy {
namespace {

// Four buckets per power of two, up to two million tokens: 9 % off at most, which is less than lengths scatter.
constexpr std::size_t bucket_count = 84;
constexpr float kept_share = 0.98F;  // an answer counts half after 34 later ones that came as far
constexpr double lean_weight = 6;    // answers' worth of what is known in general
constexpr double high_part = 0.97;
constexpr std::size_t name_max = 256;

// Answers that came to the end of a bucket or ended in it.
struct Exits {
  float all = 0;
  float ended = 0;
};
using Seen = std::array<Exits, bucket_count>;
// How likely an answer that came into a bucket ends in it.
using Ends = std::array<double, bucket_count>;

std::size_t bucket_of(std::uint64_t tokens) {
  if (tokens < 2) return 0;
  return std::min(static_cast<std::size_t>(4 * std::log2(static_cast<double>(tokens))), bucket_count - 1);
}

// The middle of a bucket, and its end: tables, since every call asks for all of them.
struct Buckets {
  std::array<double, bucket_count> middles{}, ends{};
  Buckets() {
    for (std::size_t i = 0; i < bucket_count; ++i) {
      middles[i] = i == 0 ? 1 : std::exp2((static_cast<double>(i) + 0.5) / 4);
      ends[i] = std::exp2((static_cast<double>(i) + 1) / 4);
    }
  }
};
const Buckets buckets;
double value_of(std::size_t bucket) {
  return buckets.middles[bucket];
}
double end_of(std::size_t bucket) {
  return buckets.ends[bucket];
}

Ends make_prior() {
  constexpr double sigmas_of_p99 = 2.326;
  const double middle = std::log(OutputForecast::prior_median);
  const double sigma = (std::log(OutputForecast::prior_p99) - middle) / sigmas_of_p99;
  std::array<double, bucket_count> parts{};
  double sum = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    const double z = (std::log(value_of(i)) - middle) / sigma;
    sum += parts[i] = std::exp(-0.5 * z * z);
  }
  Ends prior{};
  for (std::size_t i = 0; i < bucket_count; ++i) {
    prior[i] = parts[i] / sum;
    sum -= parts[i];
  }
  prior.back() = 1;
  return prior;
}

// What was seen of a bucket, with `in_general` weighing as much as those of lean_weight answers that came so far.
double leaning(const Exits& seen, double in_general, double came_so_far) {
  if (seen.all <= 0) return in_general;  // most buckets: nobody was there
  const double weight = lean_weight * came_so_far;
  return std::min(1.0,
                  (static_cast<double>(seen.ended) + weight * in_general) / (static_cast<double>(seen.all) + weight));
}

// Bucket by bucket up to the 97th percentile; what is longer counts as that.
OutputExpectation summary(const Seen& own, const Seen& general, const Ends& prior, std::optional<std::uint64_t> cap) {
  const double most = cap ? static_cast<double>(*cap) : end_of(bucket_count - 1);
  double running = 1, running_in_general = 1, running_before_all = 1;  // parts of the answers that come into a bucket
  double mean = 0;
  std::size_t bucket = 0;
  for (;; ++bucket) {
    const bool last = bucket + 1 == bucket_count;
    const double ends_in_general = leaning(general[bucket], prior[bucket], running_before_all);
    const double ends = last ? 1 : leaning(own[bucket], ends_in_general, running_in_general);
    mean += running * ends * std::min(value_of(bucket), most);
    running -= running * ends;
    running_in_general -= running_in_general * ends_in_general;
    running_before_all -= running_before_all * prior[bucket];
    if (last || running <= 1 - high_part) break;
  }
  const double high = std::min(end_of(bucket), most);
  mean += running * high;
  OutputExpectation result;
  result.high = static_cast<std::uint64_t>(std::llround(high));
  result.mean = std::min(static_cast<std::uint64_t>(std::llround(mean)), result.high);
  return result;
}

constexpr Seen nothing_seen{};

}  // namespace

struct OutputForecast::Impl {
  struct Entry {
    std::string name;
    Seen seen{};
  };

  // Good until the next one: nothing is allocated for it while answers run.
  const std::string& pair_name(std::string_view key, std::string_view model) {
    name.assign(key.substr(0, name_max));
    name += '\n';
    return name.append(model.substr(0, name_max));
  }

  // nullptr: nothing is known. What is asked for counts as used.
  Entry* find(const std::string& pair) {
    const auto found = places.find(pair);
    if (found == places.end()) return nullptr;
    entries.splice(entries.begin(), entries, found->second);
    return &entries.front();
  }

  Entry& entry_of(const std::string& pair) {
    if (Entry* entry = find(pair)) return *entry;
    if (entries.size() >= most) {
      places.erase(entries.back().name);
      entries.pop_back();
    }
    entries.push_front({pair, {}});
    places[pair] = entries.begin();
    return entries.front();
  }

  // An answer has left the buckets from `first` up to `until`.
  void pass(const std::string& pair, std::size_t first, std::size_t until, bool ends_there) {
    Seen& seen = entry_of(pair).seen;
    for (std::size_t i = first; i < until; ++i) note_exit(seen[i], 0);
    if (ends_there) note_exit(seen[until], 1);
  }

  static void note_exit(Exits& exits, float ended) {
    exits.all = exits.all * kept_share + 1;
    exits.ended = exits.ended * kept_share + ended;
  }

  std::size_t most = pairs_max;
  const Ends prior = make_prior();
  mutable std::mutex mutex;
  std::string name;          // of the pair that is looked for
  std::list<Entry> entries;  // the last used first; a model in general is the pair without a key
  std::unordered_map<std::string, std::list<Entry>::iterator> places;
};

OutputForecast::OutputForecast(std::size_t most_pairs) : impl_(std::make_unique<Impl>()) {
  impl_->most = std::max<std::size_t>(most_pairs, 2);
}
OutputForecast::~OutputForecast() = default;

OutputExpectation OutputForecast::expect(std::string_view key, std::string_view model,
                                         std::optional<std::uint64_t> cap) {
  const std::lock_guard lock(impl_->mutex);
  const auto* const general = impl_->find(impl_->pair_name("", model));
  const auto* const own = impl_->find(impl_->pair_name(key, model));
  return summary(own ? own->seen : nothing_seen, general ? general->seen : nothing_seen, impl_->prior, cap);
}

void OutputForecast::progress(std::string_view key, std::string_view model, std::uint64_t before, std::uint64_t now) {
  const std::size_t first = bucket_of(before), until = bucket_of(now);
  if (until <= first) return;
  const std::lock_guard lock(impl_->mutex);
  impl_->pass(impl_->pair_name("", model), first, until, false);
  if (!key.empty()) impl_->pass(impl_->pair_name(key, model), first, until, false);
}

void OutputForecast::learn(std::string_view key, std::string_view model, std::uint64_t output, std::uint64_t told) {
  const std::size_t first = bucket_of(told), until = std::max(first, bucket_of(output));
  const std::lock_guard lock(impl_->mutex);
  impl_->pass(impl_->pair_name("", model), first, until, true);
  if (!key.empty()) impl_->pass(impl_->pair_name(key, model), first, until, true);
}

std::size_t OutputForecast::pairs() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->entries.size();
}

}  // namespace weir::proxy
