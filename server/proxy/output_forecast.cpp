#include "proxy/output_forecast.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

namespace weir::proxy {
namespace {

// Two buckets per power of two, up to a million tokens: 19 % off at most, which is less than lengths scatter.
constexpr std::size_t bucket_count = 42;
constexpr float kept = 0.98F;      // an answer counts half after 34 later ones
constexpr double lean_weight = 6;  // answers' worth of what is known in general
constexpr double high_part = 0.95;
constexpr std::size_t name_max = 256;

using Buckets = std::array<float, bucket_count>;

std::size_t bucket_of(std::uint64_t tokens) {
  if (tokens < 2) return 0;
  const auto exponent = static_cast<std::size_t>(std::bit_width(tokens)) - 1;
  const bool upper_half = static_cast<double>(tokens) >= std::exp2(static_cast<double>(exponent) + 0.5);
  return std::min(2 * exponent + (upper_half ? 1 : 0), bucket_count - 1);
}

// The middle of a bucket, and its end.
double value_of(std::size_t bucket) {
  return bucket == 0 ? 1 : std::exp2((static_cast<double>(bucket) + 0.5) / 2);
}
double end_of(std::size_t bucket) {
  return std::exp2((static_cast<double>(bucket) + 1) / 2);
}

float sum_of(const Buckets& buckets) {
  float sum = 0;
  for (const float b : buckets) sum += b;
  return sum;
}

Buckets make_prior() {
  constexpr double sigmas_of_p99 = 2.326;
  const double middle = std::log(OutputForecast::prior_median);
  const double sigma = (std::log(OutputForecast::prior_p99) - middle) / sigmas_of_p99;
  Buckets prior{};
  for (std::size_t i = 0; i < bucket_count; ++i) {
    const double z = (std::log(value_of(i)) - middle) / sigma;
    prior[i] = static_cast<float>(std::exp(-0.5 * z * z));
  }
  return prior;
}

// `own`, with `general` weighing as much as lean_weight answers.
Buckets leaning(const Buckets& own, const Buckets& general) {
  const double factor = lean_weight / std::max(static_cast<double>(sum_of(general)), 1e-9);
  Buckets mixed = own;
  for (std::size_t i = 0; i < bucket_count; ++i)
    mixed[i] += static_cast<float>(factor * static_cast<double>(general[i]));
  return mixed;
}

OutputExpectation summary(const Buckets& buckets, std::optional<std::uint64_t> cap) {
  const double most = cap ? static_cast<double>(*cap) : end_of(bucket_count - 1);
  const double total = static_cast<double>(sum_of(buckets));
  double below = 0;
  std::size_t top = 0;
  for (; top + 1 < bucket_count; ++top) {
    below += static_cast<double>(buckets[top]);
    if (below >= high_part * total) break;
  }
  const double high = std::min(end_of(top), most);
  double mean = 0;
  for (std::size_t i = 0; i < bucket_count; ++i)
    mean += static_cast<double>(buckets[i]) / total * std::min(value_of(i), high);
  OutputExpectation result;
  result.high = static_cast<std::uint64_t>(std::llround(high));
  result.mean = std::min(static_cast<std::uint64_t>(std::llround(mean)), result.high);
  return result;
}

}  // namespace

struct OutputForecast::Impl {
  struct Entry {
    std::string name;
    Buckets buckets{};
  };

  static std::string pair_name(std::string_view key, std::string_view model) {
    std::string name(key.substr(0, name_max));
    name += '\n';
    return name.append(model.substr(0, name_max));
  }

  // nullptr: nothing is known. What is asked for counts as used.
  Entry* find(const std::string& name) {
    const auto found = places.find(name);
    if (found == places.end()) return nullptr;
    entries.splice(entries.begin(), entries, found->second);
    return &entries.front();
  }

  void add(const std::string& name, std::size_t bucket) {
    Entry* entry = find(name);
    if (entry == nullptr) {
      if (entries.size() >= most) {
        places.erase(entries.back().name);
        entries.pop_back();
      }
      entries.push_front({name, {}});
      places[name] = entries.begin();
      entry = &entries.front();
    }
    for (float& b : entry->buckets) b *= kept;
    entry->buckets[bucket] += 1;
  }

  std::size_t most = pairs_max;
  const Buckets prior = make_prior();
  mutable std::mutex mutex;
  std::list<Entry> entries;  // the last used first; a model in general is the pair without a key
  std::unordered_map<std::string, std::list<Entry>::iterator> places;
};

OutputForecast::OutputForecast(std::size_t most_pairs) : impl_(std::make_unique<Impl>()) {
  impl_->most = std::max<std::size_t>(most_pairs, 2);
}
OutputForecast::~OutputForecast() = default;

OutputExpectation OutputForecast::expect(std::string_view key, std::string_view model,
                                         std::optional<std::uint64_t> cap) {
  Buckets own{}, general{};
  {
    const std::lock_guard lock(impl_->mutex);
    if (const auto* entry = impl_->find(Impl::pair_name("", model))) general = entry->buckets;
    if (const auto* entry = impl_->find(Impl::pair_name(key, model))) own = entry->buckets;
  }
  return summary(leaning(own, leaning(general, impl_->prior)), cap);
}

void OutputForecast::learn(std::string_view key, std::string_view model, std::uint64_t output) {
  const std::size_t bucket = bucket_of(output);
  const std::lock_guard lock(impl_->mutex);
  impl_->add(Impl::pair_name("", model), bucket);
  if (!key.empty()) impl_->add(Impl::pair_name(key, model), bucket);
}

std::size_t OutputForecast::pairs() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->entries.size();
}

}  // namespace weir::proxy
