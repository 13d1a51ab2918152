#include "proxy/heartbeat.hpp"

#include <algorithm>

#include "proxy/forward_headers.hpp"

namespace weir::proxy {

void Heartbeat::configure(Form form, const HeartbeatSettings& settings, net::Instant since) {
  form_ = form;
  settings_ = settings;
  last_ = since;
}

void Heartbeat::set_head(std::string_view request_id, std::string_view cors_origin, Trailers trailers) {
  trailers_ = trailers;
  request_id_ = request_id;
  cors_origin_ = cors_origin;
}

Duration Heartbeat::gap() const {
  if (form_ == Form::space) return sent_ > 0 ? settings_.json_every : settings_.json_after;
  return sent_ > 0 ? settings_.stream_every : settings_.first_after;
}

std::optional<Duration> Heartbeat::first_after() const {
  if (form_ == Form::none) return std::nullopt;
  return form_ == Form::space ? settings_.json_after : settings_.first_after;
}

net::Instant Heartbeat::next() const {
  return form_ == Form::none ? net::Instant::max() : last_ + gap();
}

void Heartbeat::beat(net::Instant now) {
  if (now < next()) return;
  switch (form_) {
    case Form::none:
      return;
    // One line feed: the blank line after a comment breaks older openai-go.
    case Form::comment:
      return say(now, ": keep-alive\n");
    case Form::ping:
      return say(now, "event: ping\ndata: {\"type\": \"ping\"}\n\n");
    case Form::space:
      return say(now, " ");
  }
}

void Heartbeat::while_queued(net::Instant now, const std::optional<admission::WaitingView>& place) {
  if (now < next()) return;
  if (form_ != Form::comment || !place) return beat(now);
  std::string text = ": weir queued position=" + std::to_string(place->position);
  if (place->starts_at > now) {
    text +=
        " starts_in=" + std::to_string(std::chrono::ceil<std::chrono::seconds>(place->starts_at - now).count()) + "s";
  }
  say(now, text + "\n");
}

void Heartbeat::say(net::Instant now, std::string_view text) {
  last_ = now;
  if (downstream_.finished()) return;
  // A client that takes nothing is not there any more: its buffers are ours.
  if (session_.client().has_unflushed()) session_.client().flush();
  if (session_.client().has_unflushed()) {
    if (++untaken_ >= untaken_max) session_.note_left();
    return;
  }
  untaken_ = 0;
  if (!downstream_.begun()) {
    const bool chunked = session_.head().version >= 11;
    const net::BodyFraming framing{chunked ? net::BodyFraming::Kind::chunked : net::BodyFraming::Kind::until_close, 0};
    if (!chunked) session_.close_after_this();
    WaitingResponse waiting;
    waiting.content_type = form_ == Form::space ? "application/json" : "text/event-stream";
    waiting.request_id = request_id_;
    waiting.cors_origin = cors_origin_;
    waiting.keep_alive = session_.keep_alive() && !session_.context().shared.draining;
    if (!waiting.keep_alive) session_.close_after_this();
    waiting.chunked = chunked;
    waiting.trailers = trailers_ == Trailers::announced;
    downstream_.begin(write_waiting_head(waiting), framing);
    if (waiting.trailers) downstream_.promise_trailers();
  }
  downstream_.send(std::span<const std::string_view>(&text, 1), Downstream::End::open);
  ++sent_;
  session_.context().shared.metrics.heartbeat_sent();
}

}  // namespace weir::proxy
