// The half of a session that answers: pace, keep-alives, faults.
#include <algorithm>
#include <ctime>
#include <limits>

#include "net/reason_phrase.hpp"
#include "simulator/gzip.hpp"
#include "simulator/session.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t batch_bytes = 16 * 1024;           // of a stream without pace, before the socket is asked
constexpr std::chrono::milliseconds booking_every{100};  // of output that nobody sees yet

// After how many contents something goes wrong.
std::uint64_t contents_until(const Faults& faults) {
  return std::min({faults.stall_after.value_or(never), faults.drop_after.value_or(never),
                   faults.end_after.value_or(never), faults.error_after.value_or(never)});
}

net::Instant token_due(net::Instant first, Duration interval, std::uint64_t index) {
  return first + interval * static_cast<Duration::rep>(index);
}

// Counts an open stream.
class StreamCount {
 public:
  explicit StreamCount(Ledger& ledger) : ledger_(&ledger) { ledger_->stream_opened(); }
  ~StreamCount() { close(); }
  StreamCount(const StreamCount&) = delete;
  StreamCount& operator=(const StreamCount&) = delete;
  void close() {
    if (ledger_) ledger_->stream_closed();
    ledger_ = nullptr;
  }

 private:
  Ledger* ledger_;
};

}  // namespace

net::Task<Session::Ending> Session::send(Reply& reply) {
  Behaviour& behaviour = reply.behaviour;
  Faults& faults = behaviour.faults;
  Delivery delivery(connection_, behaviour.cutting, behaviour.crlf && reply.stream);
  head_sent_ = false;
  next_keepalive_ = arrived_ + behaviour.keepalive_every;
  const bool old_client = request_.head.version < 11;
  const bool length_unknown = reply.stream || behaviour.chunked || behaviour.early_head || faults.drop_after_head ||
                              behaviour.keepalive_every > Duration(0) || faults.end_after;
  chunked_ = length_unknown && !behaviour.until_close && !old_client;
  if (behaviour.until_close || (length_unknown && !chunked_)) keep_ = false;

  if (reply.delayed && (behaviour.early_head || faults.drop_after_head)) {
    send_head(reply, delivery, -1);
    if (!co_await drain(delivery) || faults.drop_after_head) co_return Ending::reset;
  }
  Ending ending;
  if (reply.stream) {
    ending = co_await send_events(reply, delivery);
  } else if (reply.pattern_bytes > 0) {
    send_head(reply, delivery, static_cast<std::int64_t>(reply.pattern_bytes));
    ending = co_await send_pattern(reply.pattern_bytes, delivery);
  } else {
    ending = co_await send_document(reply, delivery);
  }
  if (gone_ || connection_.write_failed()) desk_.ledger.client_left();
  if (is_over()) co_return Ending::close;
  if (ending == Ending::keep && (!keep_ || behaviour.close_after)) ending = Ending::close;
  co_return ending;
}

net::Task<Session::Ending> Session::send_events(Reply& reply, Delivery& delivery) {
  const Faults& faults = reply.behaviour.faults;
  Answer& answer = *reply.answer;
  StreamCount stream(desk_.ledger);
  const net::Instant first = arrived_ + reply.behaviour.ttft;
  if (!co_await wait_for_content(reply, delivery, first)) co_return Ending::close;
  const std::uint64_t contents_max = contents_until(faults);
  if (faults.drop_after && *faults.drop_after == 0) co_return Ending::reset;
  if (!head_sent_) send_head(reply, delivery, -1);

  Events events;
  std::uint64_t contents = 0;  // delivered
  const auto deliver = [&] {   // false: as many contents as the fault allows
    std::size_t begin = 0;
    std::uint64_t tokens = 0;
    for (const Events::Entry& entry : events.entries()) {
      if (entry.tokens > 0 && contents == contents_max) break;
      delivery.body(std::string_view(events.text()).substr(begin, entry.end - begin));
      begin = entry.end;
      tokens += entry.tokens;
      if (entry.tokens > 0) ++contents;
    }
    const bool complete = begin == events.text().size();
    events.clear();
    reply.permit.produce(tokens);
    return complete;
  };

  bool whole = !faults.error_in_200;
  if (whole) {
    answer.open(events);
    const std::uint64_t steps = answer.parts().output.size();
    const Duration interval = reply.behaviour.token_interval();
    std::uint64_t index = 0;
    while (whole && index < steps) {
      const net::Instant now = net::Clock::now();
      while (index < steps && events.text().size() < batch_bytes &&
             (interval == Duration(0) || token_due(first, interval, index) <= now)) {
        answer.step(index++, events);
      }
      whole = deliver();
      if (index == steps && whole) break;  // the end goes out with the last token
      if (!co_await drain(delivery)) co_return Ending::close;
      if (whole && interval > Duration(0) && !co_await wait_until(token_due(first, interval, index)))
        co_return Ending::close;
    }
    if (contents == contents_max) whole = false;  // it was to go wrong after the very last one
  }

  if (!whole && !faults.error_in_200 && faults.stall_after && *faults.stall_after == contents_max) {
    if (co_await drain(delivery)) co_await stay_silent();
    co_return Ending::close;
  }
  if (!whole && faults.drop_after && *faults.drop_after == contents_max) {
    co_await drain(delivery);
    co_return Ending::reset;
  }
  if (whole) {
    answer.close(events);
    if (reply.stores_response) desk_.responder.store_response(answer, answer.whole());
  } else if (!faults.end_after || *faults.end_after != contents_max) {
    answer.fail(*reply.problem_in_stream, events);
  }
  deliver();
  delivery.finish();
  // Before the last byte leaves: whoever has the whole answer must find it counted as over.
  stream.close();
  reply.permit = Permit();
  co_await drain(delivery);
  co_return Ending::keep;
}

net::Task<Session::Ending> Session::send_document(Reply& reply, Delivery& delivery) {
  const Faults& faults = reply.behaviour.faults;
  std::string document = std::move(reply.body);
  if (reply.delayed) {
    const Duration interval = reply.behaviour.token_interval();
    const std::uint64_t tokens = reply.tokens();
    const std::uint64_t steps = reply.answer ? reply.answer->parts().output.size() : 0;
    const net::Instant first = arrived_ + reply.behaviour.ttft;
    const net::Instant due = steps > 0 ? token_due(first, interval, steps - 1) : first;
    std::uint64_t booked = 0;
    if (reply.answer && desk_.ledger.charges_as_produced()) {
      // The meter sees tokens when they are produced, not when the answer is complete.
      for (net::Instant at = first; at < due; at += booking_every) {
        if (!co_await wait_for_content(reply, delivery, at)) co_return Ending::close;
        const auto produced = static_cast<std::uint64_t>((net::Clock::now() - first) / interval);
        const std::uint64_t now_booked = std::min(produced * reply.answer->parts().n, tokens);
        if (now_booked > booked) reply.permit.produce(now_booked - booked);
        booked = std::max(booked, now_booked);
      }
    }
    if (!co_await wait_for_content(reply, delivery, due)) co_return Ending::close;
    reply.permit.produce(tokens - booked);
    if (reply.answer) document = reply.answer->whole();
    if (reply.stores_response) desk_.responder.store_response(*reply.answer, document);
  }
  if (reply.delayed && faults.drop_after && *faults.drop_after == 0) co_return Ending::reset;
  if (reply.behaviour.gzip) document = gzip_stored(document);

  if (!head_sent_) send_head(reply, delivery, static_cast<std::int64_t>(document.size()));
  const std::uint64_t bytes_max = reply.delayed ? contents_until(faults) : never;
  const bool whole = bytes_max >= document.size();
  if (request_.head.method != "HEAD") {
    delivery.body(std::string_view(document).substr(
        0, static_cast<std::size_t>(std::min<std::uint64_t>(bytes_max, document.size()))));
  }
  if (!whole && faults.stall_after && *faults.stall_after == bytes_max) {
    if (co_await drain(delivery)) co_await stay_silent();
    co_return Ending::close;
  }
  if (!whole && faults.drop_after && *faults.drop_after == bytes_max) {
    co_await drain(delivery);
    co_return Ending::reset;
  }
  if (request_.head.method != "HEAD") delivery.finish();
  reply.permit = Permit();  // before the last byte leaves, as above
  co_await drain(delivery);
  co_return Ending::keep;
}

net::Task<Session::Ending> Session::send_pattern(std::uint64_t bytes, Delivery& delivery) {
  std::string block(64 * 1024, '\0');
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>('a' + i % 26);
  if (request_.head.method == "HEAD") bytes = 0;
  for (std::uint64_t sent = 0; sent < bytes;) {
    const std::uint64_t now = std::min<std::uint64_t>(block.size(), bytes - sent);
    delivery.body(std::string_view(block).substr(0, static_cast<std::size_t>(now)));
    sent += now;
    if (!co_await drain(delivery)) co_return Ending::close;
  }
  delivery.finish();
  co_await drain(delivery);
  co_return Ending::keep;
}

net::Task<bool> Session::wait_for_content(Reply& reply, Delivery& delivery, net::Instant due) {
  const Duration every = reply.behaviour.keepalive_every;
  for (; every > Duration(0) && next_keepalive_ < due; next_keepalive_ += every) {
    if (!co_await wait_until(next_keepalive_)) co_return false;
    if (!head_sent_) send_head(reply, delivery, -1);
    delivery.body(reply.stream ? reply.answer->keepalive() : "\n");
    if (!co_await drain(delivery)) co_return false;
  }
  co_return co_await wait_until(due);
}

void Session::send_head(Reply& reply, Delivery& delivery, std::int64_t length) {
  delivery.head(write_head(reply, chunked_ || reply.behaviour.until_close ? -1 : length),
                chunked_ ? Delivery::Framing::chunked : Delivery::Framing::raw);
  head_sent_ = true;
}

std::string Session::write_head(const Reply& reply, std::int64_t length) {
  const std::time_t now = std::time(nullptr);
  if (now != desk_.date_second) {
    desk_.date_second = now;
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[40];
    desk_.date.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
  }
  std::string head = join("HTTP/1.1 ", reply.status, " ", net::reason_phrase(reply.status), "\r\nDate: ", desk_.date,
                          "\r\nContent-Type: ", reply.content_type, "\r\n");
  if (reply.behaviour.gzip && !reply.stream) head += "Content-Encoding: gzip\r\n";
  if (length >= 0) {
    put(head, "Content-Length: ", length, "\r\n");
  } else if (chunked_) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (!keep_) {
    head += "Connection: close\r\n";
  } else if (request_.head.version < 11) {
    head += "Connection: keep-alive\r\n";
  }
  if (desk_.options.dialect == Dialect::openai && reply.delayed) {
    put(head, "openai-processing-ms: ", (net::Clock::now() - arrived_) / std::chrono::milliseconds(1), "\r\n");
  }
  put(head, reply.headers, "\r\n");
  return head;
}

}  // namespace weir::simulator
