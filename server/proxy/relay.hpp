// An upstream's answer to the client, with back-pressure: event streams through the filter, JSON and everything else as
// raw bytes. Reads into the worker's buffer and writes from it; what is kept per stream does not grow with its length.
// Nothing is committed before there is something to say: until the first event (the first byte of a JSON answer that is
// not white space) the head waits, unless a heartbeat is due.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/stream_filter.hpp"
#include "proxy/downstream.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {

enum class AnswerKind {
  events,  // a server-sent-events stream of a known API
  json,    // a complete JSON answer of a known API
  raw,     // anything else
};

struct RelayOptions {
  AnswerKind kind = AnswerKind::raw;
  protocol::Api api = protocol::Api::other;
  bool hide_usage = false;    // the usage chunk was asked for by weir, not by the client
  bool wants_id = false;      // remember the id that a JSON answer or the first event names
  std::string_view upstream;  // account name, for messages
  std::string_view request_id;
  HeartbeatSettings heartbeat;
  UpstreamTimeouts timeouts;
};

class Relay {
 public:
  Relay(Session& session, UpstreamCall& call, Downstream& downstream, const RelayOptions& options);

  // Nothing: the answer is complete, or the client has left (session().gone()). A refusal: what went wrong; if
  // downstream is not committed it can still be the answer, otherwise the client has been told in the stream or by a
  // broken ending.
  net::Task<std::optional<Refusal>> run();

  const protocol::StreamFilter& filter() const { return filter_; }
  std::optional<protocol::Usage> usage() const;
  std::optional<net::Instant> first_content_at() const { return first_content_at_; }
  std::uint64_t heartbeats_sent() const { return heartbeats_sent_; }
  // The client has been given, or would have been given, all that there is to say.
  bool complete() const { return complete_; }
  // Every byte of the answer has been read: the upstream's connection can serve another call.
  bool upstream_done() const { return decoder_.complete(); }
  const std::string& issued_id() const { return issued_id_; }

 private:
  std::size_t take(std::span<char> raw);  // returns how many bytes were part of the answer
  std::string_view decoded(std::span<char> raw, std::size_t& consumed);
  void relay_events(std::string_view data);
  void relay_json(std::string_view data);
  void note_content(net::Instant now);
  void note_answer();
  std::optional<Refusal> check_clocks(net::Instant now);
  net::Instant content_deadline() const;
  net::Instant next_deadline() const;
  void beat(net::Instant now);
  std::optional<Refusal> end_of_connection(net::IoStep::Status how);
  void tell(const Refusal& refusal);
  net::Task<void> read_out();

  Session& session_;
  UpstreamCall& call_;
  Downstream& downstream_;
  RelayOptions options_;
  net::BodyDecoder decoder_;
  protocol::StreamFilter filter_;
  std::string answer_;  // a JSON answer that did not come in one read, for its usage; bounded
  bool answer_too_large_ = false;
  std::optional<protocol::Usage> answer_usage_;
  std::string issued_id_;
  bool body_begun_ = false;  // a byte that is not white space has been seen (JSON)
  bool complete_ = false;
  std::uint64_t contents_seen_ = 0;
  std::uint64_t heartbeats_sent_ = 0;
  net::Instant started_, last_byte_, last_content_, last_sent_;
  std::optional<net::Instant> first_content_at_;
};

}  // namespace weir::proxy
