// Any bytes as an event stream, in any pieces: nothing crashes, no cut changes what comes out or what is concluded, and
// what comes out is what a slow parser sees in what went in.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "filter_support.hpp"
#include "reference_sse.hpp"

namespace {

using namespace weir::protocol;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// FNV-1a. The options and cuts follow from the bytes, so that a corpus file is nothing but a stream.
std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

std::vector<std::size_t> some_cuts(std::uint64_t seed, std::size_t size) {
  std::vector<std::size_t> cuts(seed % 7);
  for (std::size_t& cut : cuts) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    cut = (seed >> 33) % (size + 1);
  }
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

void check(const FilterOptions& options, std::string_view bytes, std::uint64_t seed, Ending ending) {
  const Observed whole = run_filter(options, bytes, {}, ending);
  require(run_filter(options, bytes, some_cuts(seed, bytes.size()), ending) == whole, "pieces give the same");
  if (bytes.size() <= 300) {
    require(run_filter(options, bytes, every_byte(bytes.size()), ending) == whole, "single bytes give the same");
  }
  if (options.event_bytes_max <= bytes.size()) return;  // closing an unfinished line adds a byte
  if (options.hide_usage == HideUsage::nothing) {
    // Half an event behind the last word is no event.
    const bool closes = ending == Ending::clean && !whole.said_all;
    // An error in another form than its API's is put into that, wherever it stands; all else goes as it came.
    const auto written = [&](const reference::Event& event) {
      const bool flat = read_event(event.type, event.data, options.api).flat_error;
      const std::string text = reference::write(event);
      return flat ? run_filter(options, text, {}, Ending::cut).output : text;
    };
    require(whole.output == reference::relay(bytes, closes, written), "the reference relays the same");
    // A mark that was inside the stream may come first once what stood before it is absorbed: another stream, then.
    if (whole.output.starts_with("\xEF\xBB\xBF")) return;
    const Observed again = run_filter(options, whole.output, {}, ending);
    require(again.output == whole.output && again.events == whole.events, "a second pass changes nothing");
  }
  require(reference::read(whole.output).blocks.size() == whole.events, "every event is still an event");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::uint64_t seed = hash_of(bytes);
  constexpr Api apis[] = {Api::chat, Api::completions, Api::responses, Api::messages};
  const Api api = apis[seed % 4];
  for (const HideUsage hide_usage : {HideUsage::nothing, HideUsage::all, HideUsage::running, HideUsage::total}) {
    for (const Ending ending : {Ending::clean, Ending::cut}) {
      check({api, hide_usage, 1 << 20}, bytes, seed >> 8, ending);
      check({api, hide_usage, seed >> 16 & 63}, bytes, seed >> 24, ending);
    }
  }
  usage_of_answer(bytes, api);
  return 0;
}
