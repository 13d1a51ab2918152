// An upstream's answer to the client, with back-pressure: event streams through the filter, JSON and everything else as
// raw bytes. Reads into the worker's buffer and writes from it; what is kept per stream does not grow with its length.
// Late commit: head and events wait until the first content (text, reasoning, refusal, tool call, audio, finish reason;
// what shows that a JSON answer is no error), so that a call that dies before it can be tried again as if nothing had
// happened. Only heartbeats go out before, and they promise nothing but that an answer comes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "observe/content_gaps.hpp"
#include "protocol/stream_filter.hpp"
#include "proxy/downstream.hpp"
#include "proxy/heartbeat.hpp"
#include "proxy/turn.hpp"
#include "proxy/upstream_call.hpp"

namespace weir::proxy {

enum class AnswerKind {
  events,  // a server-sent-events stream of a known API
  json,    // a complete JSON answer of a known API
  error,   // a failure, or what cannot follow a heartbeat's head: held until it is complete, if it is small
  raw,     // anything else
};

struct RelayOptions {
  AnswerKind kind = AnswerKind::raw;
  protocol::Api api = protocol::Api::other;
  protocol::HideUsage hide_usage = protocol::HideUsage::nothing;
  std::uint64_t choices = 1;  // that a stream will finish (FilterOptions)
  bool wants_id = false;      // remember the id that a JSON answer or the first event names
  std::string_view upstream;  // account name, for messages
  std::string_view request_id;
  const UpstreamTimeouts* timeouts = nullptr;  // never; lives as long as the call
  // Writes the head to the client (or, where that has gone, its trailers), when the first content is there: until then
  // many calls wait long.
  std::function<std::string(const RelayOptions&)> fields;
  std::function<void()> at_first_content;  // called once, when there will be no other try; may be empty
  net::BodyFraming framing;                // of it
};

class Relay {
 public:
  Relay(Session& session, UpstreamCall& call, Downstream& downstream, Heartbeat& heartbeat, Turn& turn,
        RelayOptions options);

  // Nothing: the answer is complete (or held, see below), or the client has left (session().gone()). A refusal: what
  // went wrong; once opened() the client has been told in the stream or by a broken ending, before that nobody has.
  net::Task<MaybeRefusal> run();

  // Content has gone to the client: from here on there is no other try.
  bool opened() const { return opened_; }
  // An answer that is an error, not given to the client yet, and its text. release() gives it after all, if it
  // can_cross(); `pointless`: with word to its SDK not to try again. What is not complete() then is run() on with.
  bool holds_error() const { return complete_ && may_be_held(); }
  std::string_view held_error() const;
  bool whole() const { return !cut_; }
  bool can_cross() const { return !cut_ || paused_; }
  bool is_events() const { return options_.kind == AnswerKind::events; }
  void release(bool pointless);

  // Waits until the client has all that was said; who does not take it in time is dropped.
  net::Task<void> drain_to_the_end();

  const protocol::StreamFilter& filter() const { return filter_; }
  // As reported, so far: of a stream that was cut off it need not be the last word.
  std::optional<protocol::Usage> usage() const;
  std::optional<net::Instant> first_content_at() const { return first_content_at_; }
  // The client has been given, or would have been given, all that there is to say.
  bool complete() const { return complete_; }
  // Every byte of the answer has been read: the upstream's connection can serve another call.
  bool upstream_done() const { return decoder_.complete(); }
  const std::string& issued_id() const { return issued_id_; }
  observe::ContentGaps take_content_gaps() { return std::move(content_gaps_); }  // of a stream

 private:
  std::size_t take(std::span<char> raw);  // returns how many bytes were part of the answer
  std::string_view decoded(std::span<char> raw, std::size_t& consumed);
  void relay_events(std::string_view data);
  void relay_json(std::string_view data);
  void note_content(net::Instant now);
  void note_answer();
  net::Instant over_at() const { return started_ + options_.timeouts->total; }
  net::Instant byte_deadline() const;
  MaybeRefusal check_clocks(net::Instant now);  // may end a stream that has said all
  net::Instant content_deadline() const;
  net::Instant end_deadline() const;
  net::Instant next_deadline() const;
  void open();
  void send(std::span<const std::string_view> data, Downstream::End end);
  void hold(std::string_view data);
  bool says_only_an_error() const { return !filter_.error_event().empty() && !filter_.content_seen(); }
  bool may_be_held() const { return !opened_ && (options_.kind == AnswerKind::error || early_error_); }
  void cut_short();
  void pause();
  void take_end();
  MaybeRefusal end_without_body();
  MaybeRefusal take_what_is_there();
  MaybeRefusal end_of_connection(net::IoStep::Status how);
  MaybeRefusal end_of_body();
  MaybeRefusal after_drain();
  void ask_for_more();
  void hear(net::Signal::Bits rang);
  void end_without_upstream();
  net::Task<MaybeRefusal> fail(MaybeRefusal refusal);
  bool must_speak() const;
  bool ended_with_nothing() const;
  bool ended_early() const;
  Refusal no_content() const;
  Refusal no_last_word() const;
  Refusal malformed_chunks() const;
  void tell(const Refusal& refusal);
  void report_progress(net::Instant now);
  net::Task<void> read_out();

  Session& session_;
  UpstreamCall& call_;
  Downstream& downstream_;
  Heartbeat& heartbeat_;
  Turn& turn_;
  RelayOptions options_;
  net::BodyDecoder decoder_;
  protocol::StreamFilter filter_;
  std::string answer_;  // a JSON answer that did not come in one read, for its usage; bounded
  bool answer_too_large_ = false;
  std::optional<protocol::Usage> answer_usage_;
  std::string issued_id_;
  bool body_begun_ = false;  // a byte that is not white space has been seen (JSON)
  bool complete_ = false;
  bool opened_ = false;
  bool cut_ = false;              // of an error, what there is of it
  bool paused_ = false;           // the rest of it has not been read
  bool early_error_ = false;      // a 200 whose first word is an error
  bool pointless_ = false;        // its SDK is told not to try again
  std::string held_;              // what waits for the first content; bounded
  std::uint64_t words_seen_ = 0;  // contents, the first error, the end
  net::Instant started_, last_byte_, last_content_, last_progress_;
  net::Instant error_begun_;  // an error's first byte, or its head
  std::optional<net::Instant> first_content_at_;
  observe::ContentGaps content_gaps_;
  bool drained_ = false;  // the last read took all there was: ask for readiness instead of reading in vain
  int reads_ = 0;         // one after the other without a wait
};

}  // namespace weir::proxy
