// Which headers cross, in each direction: hop-by-hop fields end here, weir's own are read and removed, credentials are
// exchanged. Writes whole heads, since nothing else decides what goes into one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/head.hpp"
#include "proxy/error_response.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

// What another weir, as the upstream, should know of the caller's place in line.
struct CallerInLine {
  std::string_view lane;  // empty: none of its own
  std::string_view priority;
  Duration wait_left{0};
};

struct UpstreamRequest {
  std::string_view method;
  std::string_view target;
  net::BodyFraming body;       // as it will be sent: length with the splices applied, or chunked
  bool absolute_form = false;  // through an HTTP proxy without a tunnel
  std::string_view proxy_authorization;
  std::string_view via;  // weir's pseudonym
  std::string_view request_id;
  std::optional<CallerInLine> caller;  // nullopt: the upstream has no line
};

// The head to send upstream. `upstream.api_key` replaces the client's credential; without one the client's crosses.
std::string write_upstream_head(const UpstreamRequest& request, const net::RequestHead& client,
                                const Upstream& upstream, ClientMode mode);

// How the answer to the client is framed and what weir adds to it.
struct DownstreamResponse {
  net::BodyFraming body;
  bool to_head = false;  // the request was a HEAD: lengths are told, bodies are not sent
  bool keep_alive = true;
  std::string_view request_id;
  std::string_view upstream;        // account name
  std::string_view ignored_params;  // empty: none
  bool from_weir = false;           // another weir's answer: its refusals are known by its own header
  unsigned attempts = 1;
  bool event_stream = false;
  std::string_view cors_origin;  // empty: none
  // Whole lines that weir adds: what the call waited and reserved, and where its caller's budget stands.
  std::string_view budget_lines;
  bool has_own_limits = false;  // the x-ratelimit fields are the caller's own, not the upstream's
};

// The head to send downstream for an upstream's answer.
std::string write_downstream_head(const DownstreamResponse& response, const net::ResponseHead& upstream);

// What lets pages of this origin read an answer, as whole lines; empty: there is none.
std::string cors_fields(std::string_view origin);

// Puts `x-should-retry: false` into a whole head, whatever the upstream said there: weir has tried what there was to
// try.
void say_pointless(std::string& head);

// An answer that has to begin before the upstream has answered: only what is certain, no guesses.
struct WaitingResponse {
  std::string_view content_type;
  std::string_view request_id;
  std::string_view cors_origin;  // empty: none
  bool keep_alive = true;
  bool chunked = true;    // else its body ends with the connection
  bool trailers = false;  // says that there will be some
};
std::string write_waiting_head(const WaitingResponse& response);

// What such a head could not say yet, as whole lines for the trailer section.
std::string write_trailers(const DownstreamResponse& response, const net::ResponseHead& upstream);

// Whether the client itself will read trailers: a TE that its Connection does not name may be some other hop's.
bool wants_trailers(const net::RequestHead& head);

// How long another weir, as the upstream, let the call wait in line; zero: it does not say.
Duration queued_at_upstream(const net::MessageHead& head);

// The provider's id of the call: another weir echoes the one it was sent and tells the provider's beside it.
std::string_view upstream_request_id(const net::MessageHead& head, bool from_weir);

// What makes a request one that cannot be forwarded at all: it came through this weir already, or its Connection names
// fields the message depends on.
std::optional<Refusal> check_forwardable(const net::RequestHead& head, std::string_view via);

// The client's x-request-id if it is usable, else empty: printable ASCII without spaces, quotes and backslashes needs
// no escape in a head, a line of the log or JSON.
std::string_view usable_request_id(const net::RequestHead& head);

}  // namespace weir::proxy
