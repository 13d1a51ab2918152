// Which of weir's routes a request target means. Pure: text in, values out; views point into the target.
#pragma once

#include <string>
#include <string_view>

#include "protocol/api.hpp"

namespace weir::proxy {

struct Route {
  enum class Kind {
    forward,  // goes upstream
    healthz,  // alive
    readyz,   // able to serve
    own,      // /v1/weir/...: reserved, never forwarded
    unknown,  // nothing weir serves
    posted,   // a path whose body weir reads, with another method that would bring one
  };
  Kind kind = Kind::unknown;
  protocol::Api api = protocol::Api::other;
  bool canonical =
      false;  // the family's own path; otherwise only its body has the family's shape (…/batch/chat/completions)
  std::string_view native_prefix;  // "/api/v3", "/beta", "/anthropic", "" for /v1 and bare paths
  std::string_view path;           // after the prefix: "/chat/completions", "/files/file-1/content"
  std::string_view full_path;      // as sent, without the query
  std::string_view query;          // without '?'

  // Whether weir reads the body (and wants it to be JSON).
  bool reads_body() const { return api != protocol::Api::other && api != protocol::Api::models; }
  // The body of a call, but nothing of it is generated: Anthropic counts its tokens.
  bool only_counts() const;
  // A path of one provider's own ("/user/balance", "/api/v3/contents/…"): others have nothing like it to be mapped to.
  bool is_of_one_provider() const;
  // In which API's shape errors are told: all below /messages have that of Anthropic.
  protocol::Api shape() const;
};

// Whether a path is this one or lies below it.
bool is_under(std::string_view path, std::string_view prefix);

Route find_route(std::string_view method, std::string_view target);

// Route::shape() of the request that begins with these bytes, if its first line is whole.
protocol::Api shape_of_head(std::string_view head);

// The model that a path asks about ("/models/deepseek-chat", "/models/org%2Fname"); empty: it asks for the list, or for
// something else.
std::string asked_model(std::string_view path);

// The id of a stored object in a path without a model ("/responses/resp_1/cancel" → "resp_1"); empty: none.
std::string_view object_id(std::string_view path);

// The segment of `path` behind this one of its segments; empty: it was the last.
std::string_view next_segment(std::string_view path, std::string_view segment);

}  // namespace weir::proxy
