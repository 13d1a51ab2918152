// What a waiting client hears while nothing else is said, in the form its library bears (sdks.md §1): a comment with
// one line feed on event streams, a ping event on Anthropic's, white space before JSON. The first one commits the
// answer: status 200 and a head without guesses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "admission/scheduler.hpp"
#include "protocol/api.hpp"
#include "proxy/downstream.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

class Heartbeat {
 public:
  enum class Form { none, comment, ping, space };

  Heartbeat(Session& session, Downstream& downstream) : session_(session), downstream_(downstream) {}

  // Which form and when; `none` for answers that cannot be kept waiting this way.
  void configure(Form form, const HeartbeatSettings& settings, net::Instant since);
  enum class Trailers : std::uint8_t { none, announced };
  // REQUIRES: both stay where they are.
  void set_head(std::string_view request_id, std::string_view cors_origin, Trailers trailers);

  // When the next one is due: never, if there is to be none.
  net::Instant next() const;
  // When the first would be; nullopt: never.
  std::optional<Duration> first_after() const;
  // Something else was said.
  void note_said(net::Instant now) { last_ = now; }
  void stop() { form_ = Form::none; }

  void beat(net::Instant now);
  void while_queued(net::Instant now, const std::optional<admission::WaitingView>& place);
  std::uint64_t sent() const { return sent_; }

 private:
  void say(net::Instant now, std::string_view text);
  Duration gap() const;

  Session& session_;
  Downstream& downstream_;
  Form form_ = Form::none;
  Trailers trailers_ = Trailers::none;
  HeartbeatSettings settings_;
  net::Instant last_{};
  std::string_view request_id_, cors_origin_;
  static constexpr int untaken_max = 4;
  int untaken_ = 0;  // beats in a row that the client has not taken
  std::uint64_t sent_ = 0;
};

}  // namespace weir::proxy
