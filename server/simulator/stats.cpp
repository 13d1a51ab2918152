#include "simulator/stats.hpp"

#include <numeric>

#include "simulator/text.hpp"

namespace weir::simulator {

std::string_view name_of(Cause cause) {
  switch (cause) {
    case Cause::requests:
      return "rpm";
    case Cause::tokens:
      return "tpm";
    case Cause::concurrency:
      return "concurrency";
    case Cause::fail_first:
      return "fail_first";
    case Cause::fail_rate:
      return "fail_rate";
    case Cause::scripted:
      return "scripted";
    case Cause::bad_key:
      return "bad_key";
    case Cause::bad_body:
      return "bad_body";
    case Cause::unknown_model:
      return "unknown_model";
    case Cause::other:
      break;
  }
  return "other";
}

std::uint64_t Stats::requests_received() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < route_count; ++i) {
    if (is_inference(static_cast<Route>(i))) sum += received[i];
  }
  return sum;
}

std::uint64_t Stats::requests_refused() const {
  return std::accumulate(refused.begin(), refused.end(), std::uint64_t{0});
}

std::string to_json(const Stats& stats) {
  std::string out = join(R"({"requests":{"received":)", stats.requests_received(), R"(,"accepted":)", stats.accepted,
                         R"(,"refused":)", stats.requests_refused(), R"(},"by_path":{)");
  for (std::size_t i = 0; i < route_count; ++i) {
    if (stats.received[i] == 0) continue;
    put(out, out.back() == '{' ? "" : ",", "\"", path_of(static_cast<Route>(i)), "\":", stats.received[i]);
  }
  out += R"(},"refused":{)";
  for (std::size_t i = 0; i < cause_count; ++i) {
    put(out, i > 0 ? "," : "", "\"", name_of(static_cast<Cause>(i)), "\":", stats.refused[i]);
  }
  put(out, R"(},"connections":{"opened":)", stats.connections_opened, R"(,"open":)", stats.connections_open,
      R"(},"streams_open":)", stats.streams_open, R"(,"in_flight":{"now":)", stats.in_flight, R"(,"largest":)",
      stats.in_flight_largest, R"(},"client_disconnects":)", stats.client_disconnects, R"(,"tokens":{"input":)",
      stats.tokens_in, R"(,"output":)", stats.tokens_out, R"(},"window_ms":)", stats.window.count() / 1'000'000,
      R"(,"largest_window":{"requests":)", stats.largest_requests, R"(,"requests_received":)",
      stats.largest_requests_received, R"(,"tokens":)", stats.largest_tokens, R"(,"tokens_used":)",
      stats.largest_tokens_used, "}}");
  return out;
}

}  // namespace weir::simulator
