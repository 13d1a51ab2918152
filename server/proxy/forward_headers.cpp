#include "proxy/forward_headers.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "net/reason_phrase.hpp"
#include "observe/text_writer.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/method.hpp"

namespace weir::proxy {
namespace {

using net::equals_ignoring_case;
using observe::TextWriter;

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view known) { return equals_ignoring_case(name, known); });
}

// RFC 9110 §7.6.1, and what describes one connection or one framing only.
constexpr std::array<std::string_view, 11> hop_by_hop{"connection",
                                                      "proxy-connection",
                                                      "keep-alive",
                                                      "te",
                                                      "trailer",
                                                      "upgrade",
                                                      "transfer-encoding",
                                                      "content-length",
                                                      "proxy-authenticate",
                                                      "proxy-authorization",
                                                      "http2-settings"};
// Read by weir, none of the upstream's business. Accept-Encoding: weir asks for identity, since a compressed stream
// delays events and cannot be looked into.
constexpr std::array<std::string_view, 6> not_upstream{
    "host", "expect", "accept-encoding", "cookie", "x-litellm-max-queue-wait", "x-gateway-inference-fairness-id"};
constexpr std::array<std::string_view, 3> not_downstream{"set-cookie", "alt-svc", "x-request-id"};
// All that can stand in the trailer section.
constexpr std::string_view trailer_names =
    "x-weir-upstream, x-weir-upstream-request-id, x-weir-queue-ms, x-weir-attempts, x-weir-reserved-tokens, "
    "x-weir-ignored-params, x-weir-error, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    "x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
    "x-ratelimit-reset-tokens";

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

void add(TextWriter& out, std::string_view name, std::string_view value) {
  out.write(name, ": ", value, "\r\n");
}

void add_framing(TextWriter& out, const net::BodyFraming& body) {
  if (body.kind == net::BodyFraming::Kind::chunked) out << "transfer-encoding: chunked\r\n";
  if (body.kind == net::BodyFraming::Kind::length) out << "content-length: " << body.length << "\r\n";
}

void add_credential(TextWriter& out, const Upstream& upstream) {
  switch (upstream.auth) {
    case AuthStyle::bearer:
      out << "authorization: Bearer ";
      break;
    case AuthStyle::api_key_header:
      out << "api-key: ";
      break;
    case AuthStyle::x_api_key:
      out << "x-api-key: ";
      break;
    case AuthStyle::none:
      return;
  }
  out.write(upstream.api_key, "\r\n");
}

void add_cors(TextWriter& out, std::string_view origin) {
  if (origin.empty()) return;
  add(out, "access-control-allow-origin", origin);
  add(out, "access-control-expose-headers", "*");
  add(out, "vary", "origin");
}

// The client's, and weir behind it.
void add_via(TextWriter& out, const net::RequestHead& client, std::string_view via) {
  out << "via: ";
  for (const net::Field& field : client.fields) {
    if (equals_ignoring_case(field.name, "via") && !field.value.empty()) out << field.value << ", ";
  }
  out.write("1.1 ", via, "\r\n");
}

// "1.500"
std::string seconds_text(Duration duration) {
  std::string fraction = std::to_string(duration.count() % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  return std::to_string(duration.count() / 1000) + "." + fraction;
}

// What weir knows of the call beside the upstream's answer.
void add_call(TextWriter& out, const DownstreamResponse& response, const net::ResponseHead& upstream) {
  add(out, "x-weir-upstream", response.upstream);
  const std::string_view id = upstream_request_id(upstream, response.from_weir);
  if (!id.empty()) add(out, "x-weir-upstream-request-id", id);
  out << "x-weir-attempts: " << std::uint64_t{response.attempts} << "\r\n";
  if (!response.ignored_params.empty()) add(out, "x-weir-ignored-params", response.ignored_params);
  out << response.budget_lines;
}

bool named_by_connection(const net::MessageHead& head, std::string_view name) {
  return head.connection_says(name);
}

}  // namespace

std::string write_upstream_head(const UpstreamRequest& request, const net::RequestHead& client,
                                const Upstream& upstream, ClientMode mode) {
  TextWriter out(1024);
  out.write(request.method, " ");
  if (request.absolute_form) out.write("http://", upstream.authority);
  out.write(request.target, " HTTP/1.1\r\n");
  add(out, "host", upstream.authority);
  const bool own_key = !upstream.api_key.empty();
  // The client's credential belongs to the upstream only in pass-through; a key of weir's own goes nowhere.
  // One alone: the key whose budgets the call is charged to.
  const net::Field* forwarded = !own_key && mode == ClientMode::pass_through ? provider_credential(client) : nullptr;
  const bool has_connection = client.find("connection") != nullptr;
  for (const net::Field& field : client.fields) {
    if (is_one_of(field.name, hop_by_hop) || is_one_of(field.name, not_upstream)) continue;
    if (starts_with_ignoring_case(field.name, "x-weir-") || equals_ignoring_case(field.name, "via")) continue;
    if (&field != forwarded && is_one_of(field.name, credential_fields)) continue;
    if (has_connection && named_by_connection(client, field.name)) continue;
    if (equals_ignoring_case(field.name, "x-request-id")) continue;
    // A provider that wants its own header gets the client's bearer token in it.
    if (&field == forwarded && upstream.auth == AuthStyle::api_key_header &&
        starts_with_ignoring_case(field.value, "bearer ")) {
      add(out, "api-key", secret_in(field));
      continue;
    }
    add(out, field.name, field.value);
  }
  if (own_key) add_credential(out, upstream);
  for (const auto& [name, value] : upstream.headers) {
    if (!client.find(name)) add(out, name, value);
  }
  add(out, "accept-encoding", "identity");
  add(out, "x-request-id", request.request_id);
  if (request.caller) {
    if (!request.caller->lane.empty()) add(out, "x-weir-lane", request.caller->lane);
    add(out, "x-weir-priority", request.caller->priority);
    add(out, "x-weir-max-wait", seconds_text(std::max(Duration::zero(), request.caller->wait_left)));
  }
  if (!request.proxy_authorization.empty()) add(out, "proxy-authorization", request.proxy_authorization);
  add_via(out, client, request.via);
  add_framing(out, request.body);
  // A body of no bytes is still announced where a method expects one.
  if (request.body.kind == net::BodyFraming::Kind::none && brings_body(request.method)) add(out, "content-length", "0");
  out << "\r\n";
  return out.take();
}

std::string write_downstream_head(const DownstreamResponse& response, const net::ResponseHead& upstream) {
  TextWriter out(512);  // it is kept until the first content
  out << "HTTP/1.1 " << static_cast<std::uint64_t>(upstream.status) << ' ' << net::reason_phrase(upstream.status)
      << "\r\n";
  const bool has_connection = upstream.find("connection") != nullptr;
  bool has_cache_control = false, has_type = false;
  for (const net::Field& field : upstream.fields) {
    if (is_one_of(field.name, hop_by_hop)) continue;
    if (is_one_of(field.name, not_downstream)) continue;
    if (has_connection && named_by_connection(upstream, field.name)) continue;
    // Only weir itself speaks in its own headers, or a caller could not tell whose error it is.
    const bool told_by_weir = response.from_weir && (equals_ignoring_case(field.name, "x-weir-error") ||
                                                     equals_ignoring_case(field.name, "x-weir-ignored-params"));
    if (starts_with_ignoring_case(field.name, "x-weir-") && !told_by_weir) continue;
    // Who may read an answer from a web page is for weir's own configuration to say.
    if (starts_with_ignoring_case(field.name, "access-control-")) continue;
    if (response.has_own_limits && starts_with_ignoring_case(field.name, "x-ratelimit-")) continue;
    if (equals_ignoring_case(field.name, "cache-control")) has_cache_control = true;
    if (response.event_stream && equals_ignoring_case(field.name, "content-type")) {
      if (!starts_with_ignoring_case(field.value, "text/event-stream")) continue;
      has_type = true;
    }
    add(out, field.name, field.value);
  }
  if (response.event_stream) {
    if (!has_type) add(out, "content-type", "text/event-stream");
    if (!has_cache_control) add(out, "cache-control", "no-cache");
    if (!upstream.find("x-accel-buffering")) add(out, "x-accel-buffering", "no");
  }
  add(out, "x-request-id", response.request_id);
  add_call(out, response, upstream);
  add_cors(out, response.cors_origin);
  if (!response.keep_alive) add(out, "connection", "close");
  add_framing(out, response.body);
  const bool no_body_by_status = upstream.status < 200 || upstream.status == 204 || upstream.status == 304;
  if (response.body.kind == net::BodyFraming::Kind::none && !no_body_by_status) {
    const std::string_view told = response.to_head ? upstream.value_of("content-length") : std::string_view("0");
    if (!told.empty()) add(out, "content-length", told);
  }
  out << "\r\n";
  return out.take();
}

std::string cors_fields(std::string_view origin) {
  if (origin.empty()) return {};
  TextWriter out(128);
  add_cors(out, origin);
  return out.take();
}

void say_pointless(std::string& head) {
  constexpr std::string_view name = "x-should-retry:";
  std::size_t line = head.find("\r\n") + 2;
  while (line + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", line) + 2;
    if (starts_with_ignoring_case(std::string_view(head).substr(line), name)) {
      head.erase(line, end - line);
    } else {
      line = end;
    }
  }
  head.insert(head.size() - 2, "x-should-retry: false\r\n");
}

std::string write_waiting_head(const WaitingResponse& response) {
  TextWriter out(512);
  out << "HTTP/1.1 200 OK\r\n";
  add(out, "content-type", response.content_type);
  add(out, "x-request-id", response.request_id);
  add(out, "x-weir-queue-state", "waiting");
  add_cors(out, response.cors_origin);
  if (!response.keep_alive) add(out, "connection", "close");
  if (response.chunked) add(out, "transfer-encoding", "chunked");
  if (response.chunked && response.trailers) add(out, "trailer", trailer_names);
  out << "\r\n";
  return out.take();
}

std::string write_trailers(const DownstreamResponse& response, const net::ResponseHead& upstream) {
  TextWriter out(256);
  add_call(out, response, upstream);
  for (const net::Field& field : upstream.fields) {
    if (!response.has_own_limits && starts_with_ignoring_case(field.name, "x-ratelimit-"))
      add(out, field.name, field.value);
  }
  return out.take();
}

bool wants_trailers(const net::RequestHead& head) {
  return head.version >= 11 && head.connection_says("te") && net::list_contains(head.value_of("te"), "trailers");
}

Duration queued_at_upstream(const net::MessageHead& head) {
  constexpr Duration believed_max = std::chrono::hours(24);
  const std::string_view text = head.value_of("x-weir-queue-ms");
  std::uint64_t milliseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (error != std::errc() || end != text.data() + text.size()) return Duration::zero();
  return Duration(std::min<std::uint64_t>(milliseconds, believed_max.count()));
}

std::string_view upstream_request_id(const net::MessageHead& head, bool from_weir) {
  const std::string_view behind = from_weir ? head.value_of("x-weir-upstream-request-id") : std::string_view();
  if (!behind.empty()) return behind;
  const std::string_view id = head.value_of("x-request-id");
  return id.empty() ? head.value_of("request-id") : id;  // Anthropic's
}

std::optional<Refusal> check_forwardable(const net::RequestHead& head, std::string_view via) {
  for (const net::Field& field : head.fields) {
    if (!equals_ignoring_case(field.name, "via")) continue;
    for (std::size_t at = field.value.find(via); at != std::string_view::npos; at = field.value.find(via, at + 1)) {
      const std::size_t end = at + via.size();
      const bool begins =
          at == 0 || field.value[at - 1] == ' ' || field.value[at - 1] == '\t' || field.value[at - 1] == ',';
      const bool ends =
          end == field.value.size() || field.value[end] == ',' || field.value[end] == ' ' || field.value[end] == '\t';
      if (begins && ends) return refuse_loop();
    }
  }
  if (!head.find("connection")) return std::nullopt;
  for (const std::string_view needed : {"host", "authorization", "content-length", "content-type"}) {
    if (head.connection_says(needed)) {
      return refuse_head(
          {net::HeadError::Kind::malformed, "Connection names the end-to-end field " + std::string(needed)});
    }
  }
  return std::nullopt;
}

std::string_view usable_request_id(const net::RequestHead& head) {
  constexpr std::size_t id_bytes_max = 128;
  const std::string_view id = head.value_of("x-request-id");
  const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
    constexpr std::string_view quotes = "\"'`\\";
    return c > ' ' && c <= '~' && quotes.find(c) == std::string_view::npos;
  });
  return plain && id.size() <= id_bytes_max ? id : std::string_view();
}

}  // namespace weir::proxy
