// One attempt at an upstream: get a connection, write the request, read the head of the answer. What went wrong is told
// as a Failure that knows whether anything can have been processed.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/upstream_pool.hpp"
#include "proxy/client_body.hpp"
#include "proxy/heartbeat.hpp"
#include "proxy/session.hpp"

namespace weir::proxy {

// What to send: a head, and a body that is here in pieces or still coming from the client.
struct OutgoingRequest {
  std::string head;
  std::string_view method;
  std::span<const std::string_view> body;  // pieces that stay where they are
  ClientBody* stream = nullptr;            // an upload to pass on; nullptr: `body` is all
  std::function<void()> at_sent;           // called when all of it has been sent, if it is set
  net::BodyFraming framing;                // of the upload, as sent upstream
};

// What an answer's head is waited for, from the request sent: it is the first byte, comes before the first content, and
// is part of the whole.
struct HeadLimit {
  TimeLimit which;
  std::chrono::milliseconds time;
};
HeadLimit limit_of_head(const UpstreamTimeouts& timeouts);

class UpstreamCall {
 public:
  UpstreamCall(Session& session, const net::Endpoint& endpoint, const UpstreamTimeouts& timeouts, Heartbeat& heartbeat)
      : session_(session), endpoint_(endpoint), timeouts_(timeouts), heartbeat_(heartbeat) {}

  // A connection. Empty failure: it is there, or the session is gone.
  net::Task<net::Failure> connect(net::UpstreamPool::Choice choice);
  // From the connection to a response head. Empty failure: head() is there (or the session is gone, or refusal() is
  // set).
  net::Task<net::Failure> start(OutgoingRequest request);

  const net::ResponseHead& head() const { return head_; }
  const net::BodyFraming& framing() const { return framing_; }
  net::Connection& connection() { return lease_.connection(); }
  bool connected() const { return static_cast<bool>(lease_); }
  net::Instant sent_at() const { return sent_at_; }
  std::optional<net::Instant> first_byte_at() const { return first_byte_at_; }
  // The client's upload was at fault, not the upstream.
  MaybeRefusal& refusal() { return refusal_; }

  // The answer ended cleanly: the connection can serve another call.
  void give_back();
  void discard() { lease_.discard(); }

 private:
  net::Task<net::Failure> send(OutgoingRequest& request);
  net::Task<net::Failure> upload(OutgoingRequest& request);
  enum class Flushed {
    all,
    interrupted,
    too_slow
  };  // interrupted: the upstream speaks or broke, or the session is gone
  net::Task<Flushed> flush();
  // What stands at the front of what the upstream has sent, behind interim answers, which are taken in.
  enum class Front {
    incomplete,  // nothing, or the beginning of a head
    answer,      // a final head, parsed and not consumed
    invalid      // what is no answer; the reason is in `invalid_`
  };
  Front look_at_front();
  bool answer_begins();
  net::Task<net::Failure> read_head(OutgoingRequest& request);
  enum class Rest { none, unlikely, announced };
  Rest rest_on_the_wire() const;
  net::Failure failed(net::Failure::Kind kind, std::string detail) const;
  net::Failure broken() const;

  Session& session_;
  const net::Endpoint& endpoint_;
  const UpstreamTimeouts& timeouts_;
  Heartbeat& heartbeat_;
  net::Lease lease_;
  std::string head_bytes_;
  std::size_t head_size_ = 0;  // on the wire
  net::ResponseHead head_;
  net::BodyFraming framing_;
  net::Instant sent_at_{};
  std::optional<net::Instant> first_byte_at_;
  MaybeRefusal refusal_;
  std::string invalid_;
  int interim_answers_ = 0;
  bool sent_ = false;
  bool to_head_ = false;  // the request was HEAD
};

}  // namespace weir::proxy
