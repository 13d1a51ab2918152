#include "proxy/error_response.hpp"

#include <algorithm>

#include "protocol/error_body.hpp"
#include "proxy/duration_in_words.hpp"

namespace weir::proxy {
namespace {

constexpr std::string_view invalid_request = "invalid_request_error";
constexpr std::string_view server_error = "api_error";

// What comes from outside stands in a message only shortened and without control characters.
// Not `quoted`: for a std::string that would also be std::quoted, where some other header brings it.
std::string in_quotes(std::string_view text) {
  constexpr std::size_t shown_max = 200;
  std::string out = "'";
  for (const char c : text.substr(0, shown_max)) out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  if (text.size() > shown_max) out += "…";
  return out + "'";
}

Refusal make(int status, std::string_view code, std::string_view type, std::string message) {
  Refusal refusal;
  refusal.status = status;
  refusal.code = code;
  refusal.type = type;
  refusal.message = std::move(message);
  return refusal;
}

Refusal closing(Refusal refusal) {
  refusal.close = true;
  return refusal;
}

// For the SDK: coming back changes nothing.
Refusal final(Refusal refusal) {
  refusal.headers.emplace_back("x-should-retry", "false");
  return refusal;
}

// Of an upstream's error that names none.
std::string_view type_of(int status) {
  if (status >= 500) return server_error;
  return status == 429 ? "rate_limit_error" : invalid_request;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string in_words(std::chrono::milliseconds limit) {
  const auto count = limit.count();
  return count % 1000 == 0 ? duration_in_words(limit) : std::to_string(count) + " ms";
}

}  // namespace

Refusal refuse_head(const net::HeadError& error) {
  switch (error.kind) {
    case net::HeadError::Kind::too_large:
    case net::HeadError::Kind::too_many_fields:
      return closing(make(431, "weir_headers_too_large", invalid_request,
                          error.reason + "; send less or raise limits.header_bytes_max or limits.header_count_max"));
    case net::HeadError::Kind::malformed:
      break;
  }
  return closing(
      make(400, "invalid_parameter", invalid_request, "The HTTP request is malformed: " + error.reason + "."));
}

Refusal refuse_body(const protocol::BodyError& error) {
  const std::string at = " (byte " + std::to_string(error.offset) + " of the body)";
  switch (error.kind) {
    case protocol::BodyError::Kind::invalid_json: {
      const std::string where = error.field.empty() ? std::string() : " in " + in_quotes(error.field);
      Refusal refusal = make(400, "invalid_json", invalid_request,
                             "The body is not valid JSON" + where + ": " + error.reason + at + ".");
      refusal.param = error.field;
      return refusal;
    }
    case protocol::BodyError::Kind::duplicate_key: {
      Refusal refusal = make(400, "duplicate_key", invalid_request,
                             "The key " + in_quotes(error.field) + " stands twice in the body" + at +
                                 "; weir and the provider could read different values. Send it once.");
      refusal.param = error.field;
      return refusal;
    }
    case protocol::BodyError::Kind::invalid_parameter:
      break;
  }
  Refusal refusal =
      make(400, "invalid_parameter", invalid_request, in_quotes(error.field) + ": " + error.reason + at + ".");
  refusal.param = error.field;
  return refusal;
}

Refusal refuse_chunks() {
  return closing(make(400, "invalid_parameter", invalid_request, "The chunked body of the request is malformed."));
}

Refusal refuse_large_body(std::size_t limit, std::string_view setting) {
  return closing(final(make(413, "weir_body_too_large", invalid_request,
                            "The body is larger than " + std::to_string(limit) + " bytes; send less or raise " +
                                std::string(setting) + ".")));
}

Refusal refuse_slow(std::string_view what, std::chrono::milliseconds limit) {
  return closing(make(408, "weir_request_timeout", invalid_request,
                      "The " + std::string(what) + " of the request did not arrive within " + in_words(limit) + "."));
}

Refusal refuse_expectation(std::string_view value) {
  return make(417, "invalid_parameter", invalid_request,
              "Expect: " + in_quotes(value) + " is not supported; only 100-continue is.");
}

Refusal refuse_websocket() {
  Refusal refusal =
      closing(final(make(426, "weir_websocket_unsupported", invalid_request,
                         "weir does not serve WebSockets; use HTTP streaming (\"stream\": true) instead.")));
  return refusal;
}

Refusal refuse_media(std::string_view content_type) {
  return final(make(415, "weir_unsupported_media", invalid_request,
                    "This route takes Content-Type: application/json, not " +
                        (content_type.empty() ? std::string("a body without a type") : in_quotes(content_type)) + "."));
}

Refusal refuse_encoding(std::string_view encoding) {
  return final(make(415, "weir_unsupported_media", invalid_request,
                    "weir reads the body of this route, and takes it as it is: send it without Content-Encoding " +
                        in_quotes(encoding) + "."));
}

Refusal refuse_host(std::string_view host) {
  return final(make(403, "origin_not_allowed", invalid_request,
                    "Host " + in_quotes(host) +
                        " is not a loopback name. This weir is open to local clients only; list the host under "
                        "clients.hosts or configure keys."));
}

Refusal refuse_origin(std::string_view origin) {
  return final(make(403, "origin_not_allowed", invalid_request,
                    "Web pages of " + in_quotes(origin) +
                        " may not use this weir; list the origin under clients.origins to allow them."));
}

Refusal refuse_key(KeyFault fault) {
  constexpr std::string_view texts[] = {
      "No API key was sent. Send 'Authorization: Bearer <key>' with a key of this weir (weir new-key makes one).",
      "The Authorization header has no key: put the word Bearer before it, 'Authorization: Bearer <key>'.",
      "The API key is not one of this weir's. Check the key; weir new-key makes one.",
      "No API key was sent, and without one weir cannot tell your calls from those of others: send the key that you "
      "call the provider with."};
  return final(make(401, "invalid_api_key", invalid_request, std::string(texts[static_cast<std::size_t>(fault)])));
}

Refusal refuse_model(std::string_view model) {
  Refusal refusal =
      final(make(403, "model_not_allowed", invalid_request,
                 "This key may not use the model " + in_quotes(model) + "; GET /v1/models lists those it may."));
  refusal.param = "model";
  return refusal;
}

Refusal refuse_unread_model() {
  return final(make(403, "model_not_allowed", invalid_request,
                    "This key may use some models only, and weir does not read which one a request to this path names. "
                    "Use a key without a list of models."));
}

Refusal unknown_model(std::string_view model) {
  Refusal refusal =
      final(make(404, "model_not_found", invalid_request,
                 "No upstream serves the model " + in_quotes(model) + "; GET /v1/models lists the models there are."));
  refusal.param = "model";
  return refusal;
}

Refusal missing_model() {
  Refusal refusal = final(make(400, "invalid_parameter", invalid_request, "The body names no model; set \"model\"."));
  refusal.param = "model";
  return refusal;
}

Refusal unknown_route(std::string_view method, std::string_view path, std::string_view hint) {
  return final(make(404, "weir_unknown_route", invalid_request,
                    "weir has no route " + std::string(method.substr(0, 16)) + " " + in_quotes(path) + "; " +
                        std::string(hint) + "."));
}

Refusal unknown_method(std::string_view method, std::string_view allowed) {
  Refusal refusal =
      final(make(405, "weir_unknown_method", invalid_request,
                 "The method " + in_quotes(method) + " is not taken here; these are: " + std::string(allowed) + "."));
  refusal.headers.emplace_back("allow", allowed);
  return refusal;
}

Refusal given_up_by_owner() {
  return final(make(499, "weir_given_up", invalid_request,
                    "The request was given up while it waited, by DELETE /v1/weir/requests/{id}; nothing was sent."));
}

Refusal nothing_waits(std::string_view request_id) {
  return final(make(404, "weir_not_waiting", invalid_request,
                    "No request of yours with the id " + in_quotes(request_id) +
                        " is waiting; it may have been sent already, or be over."));
}

Refusal api_not_served(std::string_view path, std::string_view upstream) {
  return final(make(404, "weir_api_not_served", invalid_request,
                    "The upstream " + in_quotes(upstream) + " does not serve " + in_quotes(path) +
                        ", and weir does not translate between API shapes. Use an API it serves, or another model."));
}

Refusal path_not_served(std::string_view path) {
  return final(make(404, "weir_api_not_served", invalid_request,
                    "No upstream that this key may use serves " + in_quotes(path) +
                        ", and weir does not translate between API shapes."));
}

Refusal unknown_upstream(std::string_view name, const std::vector<std::string>& choices) {
  Refusal refusal = final(make(400, "invalid_parameter", invalid_request,
                               "x-weir-upstream names " + in_quotes(name) +
                                   ", which this key cannot use; choose one of: " + list_of(choices) + "."));
  refusal.param = "x-weir-upstream";
  return refusal;
}

Refusal choose_an_upstream(const std::vector<std::string>& choices) {
  Refusal refusal =
      final(make(400, "invalid_parameter", invalid_request,
                 "This path names no model and there are several upstreams; send x-weir-upstream with one of: " +
                     list_of(choices) + "."));
  refusal.param = "x-weir-upstream";
  return refusal;
}

Refusal unsupported_parameter(std::string_view name, std::string_view model) {
  Refusal refusal = final(
      make(400, "unsupported_parameter", invalid_request,
           "The model " + in_quotes(model) + " does not take the parameter " + in_quotes(name) + "; leave it out."));
  refusal.param = std::string(name);
  return refusal;
}

Refusal text_only(std::string_view model) {
  Refusal refusal =
      final(make(400, "unsupported_parameter", invalid_request,
                 "The model " + in_quotes(model) + " takes text only; leave out image, audio and file parts."));
  refusal.param = "messages";
  return refusal;
}

Refusal refuse_loop() {
  return final(make(508, "weir_loop", server_error,
                    "This request has passed through this weir already: an upstream's base URL leads back to it."));
}

Refusal shutting_down() {
  Refusal refusal =
      closing(make(503, "weir_shutting_down", server_error, "weir is shutting down; send the request again."));
  say_when(refusal, std::chrono::seconds(1));
  return refusal;
}

Refusal refuse_more_bodies(std::size_t limit) {
  Refusal refusal = closing(make(429, "weir_queue_full", "rate_limit_error",
                                 "The bodies of all requests that weir is reading or sending come to more than " +
                                     std::to_string(limit) +
                                     " bytes (limits.bodies_bytes_max); send the request again in a moment."));
  say_when(refusal, std::chrono::seconds(1));
  return refusal;
}

Refusal no_upstream(std::string_view why) {
  return make(503, "weir_no_upstream", server_error, std::string(why));
}

Refusal upstream_failed(const net::Failure& failure, std::string_view upstream) {
  const auto answer = [&](int status, std::string_view code) {
    const std::string_view end = failure.detail.ends_with('?') ? "" : ".";
    return make(status, code, server_error,
                "Upstream " + in_quotes(upstream) + ": " + failure.detail + std::string(end));
  };
  if (failure.origin == net::Failure::Origin::internal) {
    Refusal refusal = no_upstream("weir itself is short of something here, which upstream " + in_quotes(upstream) +
                                  " has no part in: " + failure.detail + ".");
    say_when(refusal, std::chrono::seconds(1));
    return refusal;
  }
  using Kind = net::Failure::Kind;
  switch (failure.kind) {
    case Kind::resolve:
    case Kind::connect:
    case Kind::proxy:
      return answer(502, "weir_upstream_connect");
    case Kind::connect_timeout:
      return answer(504, "weir_upstream_connect");
    case Kind::tls:
      return answer(502, "weir_upstream_tls");
    case Kind::tls_timeout:
      return answer(504, "weir_upstream_tls");
    case Kind::reset:
    case Kind::closed:
      return answer(502, "weir_upstream_reset");
    case Kind::truncated:
      return answer(502, "weir_upstream_truncated");
    case Kind::invalid:
      return answer(502, "weir_upstream_invalid");
    case Kind::cancelled:
      return shutting_down();
    case Kind::timeout:
    case Kind::none:
      break;
  }
  return answer(502, "weir_upstream_invalid");
}

Refusal upstream_too_slow(TimeLimit which, std::chrono::milliseconds limit, std::string_view upstream) {
  const std::string who = "Upstream " + in_quotes(upstream);
  const std::string within = " within " + in_words(limit) + ".";
  switch (which) {
    case TimeLimit::first_byte:
      return make(504, "weir_first_byte_timeout", server_error, who + " sent nothing" + within);
    case TimeLimit::first_content:
      return make(504, "weir_first_content_timeout", server_error, who + " sent no content" + within);
    case TimeLimit::stall:
      return make(504, "weir_stall_timeout", server_error, who + " stalled: nothing more" + within);
    case TimeLimit::total:
      break;
  }
  return make(504, "weir_total_timeout", server_error, who + " did not finish" + within);
}

Refusal upstream_error(int status, const protocol::UpstreamError& error) {
  if (status < 400) status = 502;
  Refusal refusal =
      make(status, error.code.empty() ? unnamed_error : error.code, type_of(status),
           error.message.empty() ? "The upstream answered " + std::to_string(status) + "." : error.message);
  refusal.type_is_told = !error.type.empty() && error.type != "error";
  if (refusal.type_is_told) refusal.type = error.type;
  refusal.param = error.param;
  refusal.more = error.more;
  return refusal;
}

void say_when(Refusal& refusal, std::chrono::milliseconds wait) {
  wait = std::max(wait, std::chrono::milliseconds(1));
  refusal.headers.emplace_back("retry-after-ms", std::to_string(wait.count()));
  refusal.headers.emplace_back("retry-after", std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
}

void say_pointless(Refusal& refusal) {
  std::erase_if(refusal.headers, [](const auto& header) { return header.first == "x-should-retry"; });
  refusal.headers.emplace_back("x-should-retry", "false");
}

}  // namespace weir::proxy
