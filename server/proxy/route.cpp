#include "proxy/route.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "net/hex.hpp"
#include "proxy/method.hpp"

namespace weir::proxy {
namespace {

using protocol::Api;

// Where clients find the API. The first prefix that fits is taken off; native ones are remembered, since a provider
// that has them gets the path as it came.
struct Prefix {
  std::string_view text;
  std::string_view native;
};
constexpr std::array<Prefix, 8> prefixes{{{"/v1", ""},
                                          {"/anthropic/v1", "/anthropic"},
                                          {"/anthropic", "/anthropic"},
                                          {"/beta/v1", "/beta"},
                                          {"/beta", "/beta"},
                                          {"/api/v3", "/api/v3"},
                                          {"/api/coding/v3", "/api/coding"},
                                          {"/api/coding", "/api/coding"}}};

// Bare paths, and paths that are a provider's own without a prefix.
constexpr std::array<std::string_view, 16> bare_roots{
    "chat",  "completions", "embeddings",  "responses", "messages",    "models",        "files", "batches",
    "audio", "images",      "moderations", "uploads",   "fine_tuning", "vector_stores", "user",  "rerank"};

constexpr std::string_view count_tokens = "/messages/count_tokens";
constexpr std::array<std::pair<std::string_view, Api>, 6> families{{{"/chat/completions", Api::chat},
                                                                    {"/completions", Api::completions},
                                                                    {"/embeddings", Api::embeddings},
                                                                    {"/responses", Api::responses},
                                                                    {"/messages", Api::messages},
                                                                    {count_tokens, Api::messages}}};

// With the family's body; of texts, images and videos where they are multimodal.
constexpr std::array<std::string_view, 3> embeddings_of_ark{"/embeddings/multimodal", "/batch/embeddings",
                                                            "/batch/embeddings/multimodal"};

std::string_view first_segment(std::string_view path) {
  path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

bool has_bare_root(std::string_view path) {
  const std::string_view root = first_segment(path);
  for (const std::string_view known : bare_roots) {
    if (root == known) return true;
  }
  return false;
}

// Escapes undone, and slashes in both directions.
std::string spelled_out(std::string_view path) {
  std::string decoded = net::percent_decoded(path);
  std::replace(decoded.begin(), decoded.end(), '\\', '/');
  return decoded;
}

// The path's next segment, without ";parameters"; taken off `rest`.
std::string_view take_segment(std::string_view& rest) {
  const std::string_view segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  return segment.substr(0, segment.find(';'));
}

// A path that climbs leaves the upstream's base path, with the account's key in hand: "/v1/files/../../admin".
bool climbs(std::string_view path) {
  if (path.find('.') == std::string_view::npos && path.find('%') == std::string_view::npos) return false;
  const std::string decoded = spelled_out(path);
  for (std::string_view rest = decoded; !rest.empty();) {
    const std::string_view segment = take_segment(rest);
    if (segment == "." || segment == "..") return true;
  }
  return false;
}

// The path as a lenient server may read it: escapes undone, lower case, no empty segments, no ";parameters".
std::string plain_path(std::string_view path) {
  std::string decoded = spelled_out(path);
  for (char& c : decoded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  std::string plain;
  for (std::string_view rest = decoded; !rest.empty();) {
    const std::string_view segment = take_segment(rest);
    if (!segment.empty()) plain.append("/").append(segment);
  }
  return plain;
}

// Certainly its own plain path, as that of nearly every call is.
bool is_plain(std::string_view path) {
  char before = 0;
  for (const char c : path) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!word && (c != '/' || before == '/')) return false;
    before = c;
  }
  return path.starts_with('/') && before != '/';
}

// What a key may use is decided by the path, so a path that only a lenient upstream would take for a family's own
// ("/v1//chat/completions", "/v1/%63hat/completions") is nobody's.
bool is_disguised_family(std::string_view full_path) {
  if (is_plain(full_path)) return false;
  const std::string plain = plain_path(full_path);
  if (plain == full_path) return false;
  return std::any_of(families.begin(), families.end(),
                     [&](const auto& family) { return plain.ends_with(family.first); });
}

// The API whose body a POST to this path has; canonical: on the family's own path.
Api family_of(std::string_view path, bool& canonical) {
  for (const auto& [known, api] : families) {
    if (path != known) continue;
    canonical = true;
    return api;
  }
  // Ark: /bots/…, /context/… and /batch/chat/completions have the family's body on a path of their own.
  if (path.ends_with("/chat/completions")) return Api::chat;
  const bool embeddings =
      std::find(embeddings_of_ark.begin(), embeddings_of_ark.end(), path) != embeddings_of_ark.end();
  return embeddings ? Api::embeddings : Api::other;
}

}  // namespace

bool is_under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

Route find_route(std::string_view method, std::string_view target) {
  Route route;
  const auto question = target.find('?');
  route.full_path = target.substr(0, question);
  if (question != std::string_view::npos) route.query = target.substr(question + 1);
  if (route.full_path == "/healthz" || route.full_path == "/readyz") {
    route.kind = route.full_path == "/healthz" ? Route::Kind::healthz : Route::Kind::readyz;
    return route;
  }
  if (climbs(route.full_path)) return route;
  if (is_under(route.full_path, "/v1/weir")) {
    route.kind = Route::Kind::own;
    return route;
  }
  route.path = route.full_path;
  bool known = false;
  for (const Prefix& prefix : prefixes) {
    if (!is_under(route.full_path, prefix.text)) continue;
    route.native_prefix = prefix.native;
    route.path.remove_prefix(prefix.text.size());
    known = true;
    break;
  }
  if (route.path.size() < 2) return route;
  if (!known && !has_bare_root(route.path)) return route;
  const bool with_body = brings_body(method);
  if (with_body && is_disguised_family(route.full_path)) return route;
  route.kind = Route::Kind::forward;
  if (is_under(route.path, "/models") && (method == "GET" || method == "HEAD")) {
    route.api = Api::models;
    route.canonical = true;
    return route;
  }
  if (!with_body) return route;
  route.api = family_of(route.path, route.canonical);
  // Its body would go upstream unread: no model checked, no cost.
  if (route.api != Api::other && method != "POST") route.kind = Route::Kind::posted;
  return route;
}

bool Route::only_counts() const {
  return api == Api::messages && path == count_tokens;
}

bool Route::is_of_one_provider() const {
  return native_prefix.empty() ? is_under(full_path, "/user") : !has_bare_root(path);
}

Api Route::shape() const {
  return is_under(path, "/messages") ? Api::messages : api;
}

Api shape_of_head(std::string_view head) {
  const std::size_t line_end = head.find("\r\n");
  if (line_end == std::string_view::npos) return Api::other;
  const std::string_view line = head.substr(0, line_end);
  const std::size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) return Api::other;
  const std::string_view target = line.substr(method_end + 1);
  return find_route(line.substr(0, method_end), target.substr(0, target.find(' '))).shape();
}

std::string asked_model(std::string_view path) {
  constexpr std::string_view models = "/models/";
  return path.starts_with(models) ? net::percent_decoded(path.substr(models.size())) : std::string();
}

std::string_view object_id(std::string_view path) {
  if (path.size() < 2) return {};
  return next_segment(path, first_segment(path));
}

std::string_view next_segment(std::string_view path, std::string_view segment) {
  const auto end = static_cast<std::size_t>(segment.data() + segment.size() - path.data());
  if (end >= path.size()) return {};
  const std::string_view rest = path.substr(end + 1);
  return rest.substr(0, rest.find('/'));
}

}  // namespace weir::proxy
