// Which endpoint a request target means. Providers mount the same endpoints under different prefixes; all of them are
// known here at once, so that one simulated provider can stand in for any. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::simulator {

enum class Route {
  chat,
  completions,
  embeddings,
  responses,
  response,  // /responses/{id}
  messages,
  count_tokens,  // /messages/count_tokens
  models,
  model,    // /models/{id}
  balance,  // /user/balance
  files,
  file,          // /files/{id}
  file_content,  // /files/{id}/content
  stats,         // /__stats
  reset,         // /__reset
  last,          // /__last
  last_head,     // /__last/head
  last_body,     // /__last/body
  other,
};
inline constexpr std::size_t route_count = static_cast<std::size_t>(Route::other) + 1;

struct Target {
  Route route = Route::other;
  std::string id;          // of the models/{id}, responses/{id} and files/{id} kinds, percent-decoded
  std::string_view query;  // without '?'
};

Target read_target(std::string_view target);

std::string_view path_of(Route route);  // "/v1/chat/completions"; "other"

inline bool is_own(Route route) {
  return route >= Route::stats && route <= Route::last_body;
}
// What rpm, tpm and concurrency limit.
inline bool is_inference(Route route) {
  return route <= Route::responses || route == Route::messages;
}

}  // namespace weir::simulator
