#include "proxy/patience.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace weir::proxy {
namespace {

// Seconds, whole or with a fraction; nonsense is as good as nothing.
std::optional<Duration> seconds_of(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0) || seconds > 1e9) return std::nullopt;
  return Duration(static_cast<Duration::rep>(seconds * 1000));
}

// As in settings, "500ms" or "2m", for those who write it so; seconds without a unit.
std::optional<Duration> wait_of(std::string_view text) {
  constexpr std::pair<std::string_view, int> units[] = {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
  const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view unit = length == text.size() ? "s" : text.substr(length);
  const auto number = seconds_of(text.substr(0, length));
  for (const auto& [name, milliseconds] : units) {
    if (number && name == unit) return *number * milliseconds / 1'000;
  }
  return std::nullopt;
}

// Node's own fetch waits so long for the head of an answer, whatever the library above it allows.
constexpr Duration fetch_of_node{300'000};

// By what the libraries that use it call themselves: OpenAI's and Anthropic's, the AI SDK, LangChain JS, fetch alone.
// OpenAI's of version 4 brings an HTTP client of its own, and other runtimes have no such limit.
bool is_on_fetch_of_node(const net::MessageHead& head) {
  const std::string_view agent = head.value_of("user-agent");
  const std::string_view runtime = head.value_of("x-stainless-runtime");
  if (!runtime.empty() && runtime != "node") return false;
  if (agent.find("runtime/") != std::string_view::npos && agent.find("runtime/node") == std::string_view::npos)
    return false;
  if (agent.starts_with("OpenAI/JS 4.") || agent.starts_with("AzureOpenAI/JS 4.")) return false;
  constexpr std::string_view libraries[] = {"OpenAI/JS ", "AzureOpenAI/JS ", "Anthropic/JS ", "ai/",
                                            "ai-sdk/",    "langchainjs",     "node",          "undici"};
  return std::any_of(std::begin(libraries), std::end(libraries),
                     [&](std::string_view library) { return agent.starts_with(library); });
}

}  // namespace

Patience patience_of(const net::MessageHead& head) {
  Patience patience;
  const std::string_view language = head.value_of("x-stainless-lang");
  const auto timeout = seconds_of(head.value_of("x-stainless-timeout"));
  if (language == "python") {
    patience.first_byte = seconds_of(head.value_of("x-stainless-read-timeout"));
    patience.first_byte_by = "the timeout of its client, x-stainless-read-timeout";
  } else if (language == "js") {
    patience.first_byte = timeout;
    patience.first_byte_by = "the timeout of its client, x-stainless-timeout";
  } else {
    patience.total = timeout;
  }
  if (is_on_fetch_of_node(head) && patience.first_byte.value_or(fetch_of_node) >= fetch_of_node) {
    patience.first_byte = fetch_of_node;
    patience.first_byte_by = "Node's fetch, which gives up after 300 s";
  }
  return patience;
}

WaitBound wait_bound(const net::MessageHead& head, Duration wait_max, std::optional<Duration> first_beat,
                     Duration expected_answer) {
  WaitBound bound{wait_max, "queue.wait_max"};
  const auto within = [&](Duration limit, std::string_view by) {
    if (limit < bound.time) bound = {std::max(Duration::zero(), limit), by};
  };
  for (const std::string_view name : {"x-weir-max-wait", "x-litellm-max-queue-wait"}) {
    if (const auto said = wait_of(head.value_of(name))) within(*said, name);
  }
  const Patience patience = patience_of(head);
  // A little before its time is up: the answer has to travel too.
  constexpr Duration margin{250};
  if (patience.first_byte && (!first_beat || *first_beat >= *patience.first_byte))
    within(*patience.first_byte - margin, patience.first_byte_by);
  if (patience.total)
    within(*patience.total - expected_answer - margin,
           "the timeout of its client, x-stainless-timeout, less the time for an answer");
  return bound;
}

}  // namespace weir::proxy
