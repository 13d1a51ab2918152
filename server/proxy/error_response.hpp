// Every failure and refusal of weir's own to its answer: status, code, type, hints for the SDK. In this one place, so
// that a caller can always tell whose error it is and what to do. Errors of the upstream never pass through here.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/failure.hpp"
#include "net/head.hpp"
#include "protocol/api.hpp"
#include "protocol/error_body.hpp"
#include "protocol/request_view.hpp"

namespace weir::proxy {

// An answer that weir gives instead of an upstream.
struct Refusal {
  int status = 500;
  std::string code;     // stable (contract); also x-weir-error, see code_in_header
  std::string type;     // OpenAI's word, or an upstream's own
  std::string message;  // what is wrong and what to do
  std::string param;    // the field at fault; empty: none
  std::string more;     // of an upstream's error, its further members
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;         // the connection cannot go on after it
  bool type_is_told = false;  // `type` is the upstream's word, in whatever shape
};

// A refusal or none, as the steps of an exchange hand it on. By a pointer: a coroutine's frame holds every value that
// passes through it for as long as the call waits.
class MaybeRefusal {
 public:
  MaybeRefusal() = default;
  MaybeRefusal(std::nullopt_t) {}
  MaybeRefusal(Refusal refusal) : refusal_(std::make_unique<Refusal>(std::move(refusal))) {}
  MaybeRefusal(std::optional<Refusal> refusal) {
    if (refusal) refusal_ = std::make_unique<Refusal>(*std::move(refusal));
  }
  explicit operator bool() const { return refusal_ != nullptr; }
  Refusal& operator*() const { return *refusal_; }
  Refusal* operator->() const { return refusal_.get(); }

 private:
  std::unique_ptr<Refusal> refusal_;
};

// Of the client's making.
Refusal refuse_head(const net::HeadError& error);
Refusal refuse_body(const protocol::BodyError& error);
Refusal refuse_chunks();
Refusal refuse_large_body(std::size_t limit, std::string_view setting);
Refusal refuse_slow(std::string_view what, std::chrono::milliseconds limit);
Refusal refuse_expectation(std::string_view value);
Refusal refuse_websocket();
Refusal refuse_encoding(std::string_view encoding);
Refusal refuse_media(std::string_view content_type);
Refusal refuse_host(std::string_view host);
Refusal refuse_origin(std::string_view origin);
enum class KeyFault { missing, without_bearer, unknown, anonymous };
Refusal refuse_key(KeyFault fault);
Refusal refuse_model(std::string_view model);
Refusal refuse_unread_model();
Refusal unknown_model(std::string_view model);
Refusal missing_model();
Refusal unknown_method(std::string_view method, std::string_view allowed);
// `hint`: where to go instead (route_hints.hpp).
Refusal unknown_route(std::string_view method, std::string_view path, std::string_view hint);
Refusal api_not_served(std::string_view path, std::string_view upstream);
Refusal path_not_served(std::string_view path);  // by any
Refusal unknown_upstream(std::string_view name, const std::vector<std::string>& choices);
Refusal choose_an_upstream(const std::vector<std::string>& choices);
Refusal unsupported_parameter(std::string_view name, std::string_view model);
Refusal text_only(std::string_view model);
Refusal refuse_loop();
Refusal given_up_by_owner();
Refusal nothing_waits(std::string_view request_id);

// Of the server's.
Refusal shutting_down();
Refusal refuse_more_bodies(std::size_t limit);  // than fit beside each other
Refusal no_upstream(std::string_view why);
Refusal upstream_failed(const net::Failure& failure, std::string_view upstream);
// The code of an upstream's error that has none, or none that can be used.
inline constexpr std::string_view unnamed_error = "upstream_error";
// An upstream's own error, for a client that can no longer be given it as it came. One with status 200 looks like an
// answer to libraries: it is told with a status that does not.
Refusal upstream_error(int status, const protocol::UpstreamError& error);
enum class TimeLimit { first_byte, first_content, stall, total };
Refusal upstream_too_slow(TimeLimit which, std::chrono::milliseconds limit, std::string_view upstream);

// For the SDK: when to come back. To the millisecond for those that read it so, and in whole seconds.
void say_when(Refusal& refusal, std::chrono::milliseconds wait);

// For the SDK: weir has tried what there was to try, coming back would only repeat it.
void say_pointless(Refusal& refusal);

// What stands in the body, in the words of the shape: Anthropic's types differ by status (providers.md §3), unless an
// upstream has told its own. Views into the refusal.
protocol::ErrorAnswer error_answer(const Refusal& refusal, protocol::Api api);

// Its code as x-weir-error and the trailer of that name may say it. An upstream's code is the upstream's text: one that
// is no plain word stands in the body only, or its line ends would make header lines of their own.
std::string_view code_in_header(const Refusal& refusal);

// The whole HTTP response to it. `keep_alive` false adds Connection: close. HEAD requests get no body.
std::string write_refusal(const Refusal& refusal, protocol::Api api, std::string_view request_id, bool keep_alive,
                          bool head_request, std::string_view extra_headers);

}  // namespace weir::proxy
