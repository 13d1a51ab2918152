// One client connection of the simulated provider: reads requests, lets the responder decide, and sends what it decided
// at the pace of the behaviour, with the faults it asks for. One coroutine that waits on one signal. Lives and dies on
// its worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/body_decoder.hpp"
#include "net/connection.hpp"
#include "net/task.hpp"
#include "simulator/delivery.hpp"
#include "simulator/responder.hpp"

namespace weir::simulator {

class Session;

// What the sessions of one worker share.
struct Desk {
  Desk(net::Worker& worker_, const Options& options_, Ledger& ledger_, Stores& stores_, unsigned index)
      : worker(worker_), options(options_), ledger(ledger_), responder(options_, ledger_, stores_, index) {}

  net::Worker& worker;
  const Options& options;
  Ledger& ledger;
  Responder responder;
  std::vector<Session*> sessions;  // open ones, to be told to stop
  std::int64_t date_second = 0;
  std::string date;  // of that second, as HTTP writes it
};

class Session {
 public:
  Session(Desk& desk, std::unique_ptr<net::Wire> wire);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  net::Task<void> run();
  void stop() { signal_.raise(stop_bit); }  // ends the connection where it is; the session is gone afterwards

 private:
  enum Bit : net::Signal::Bits { readable_bit = 1, writable_bit = 2, timer_bit = 4, stop_bit = 8 };
  enum class Ending { keep, close, reset };

  net::Task<bool> read_request();  // false: no more requests
  net::Task<bool> read_head();
  net::Task<bool> read_body(net::BodyFraming framing);
  net::Task<bool> read_more();
  void take_body(std::string_view bytes);
  net::Task<void> linger();
  void refuse(int status, std::string_view reason);

  net::Task<Ending> send(Reply& reply);
  net::Task<Ending> send_events(Reply& reply, Delivery& delivery);
  net::Task<Ending> send_document(Reply& reply, Delivery& delivery);
  net::Task<Ending> send_pattern(std::uint64_t bytes, Delivery& delivery);
  net::Task<bool> wait_for_content(Reply& reply, Delivery& delivery, net::Instant due);
  // These end early, with false, when the client has left or the session is to stop.
  net::Task<bool> wait_until(net::Instant due);
  net::Task<bool> drain(Delivery& delivery);
  net::Task<void> stay_silent();
  net::Task<net::Signal::Bits> watch(net::Signal::Bits also);

  std::string write_head(const Reply& reply, std::int64_t length);  // length -1: not known
  void send_head(Reply& reply, Delivery& delivery, std::int64_t length);
  bool is_over() const { return gone_ || stopped_ || connection_.write_failed(); }

  Desk& desk_;
  net::Signal signal_;
  net::Connection connection_;
  net::Timer timer_;
  Request request_;
  net::BodyDecoder decoder_;
  std::vector<std::string_view> slices_;  // of the body, for a moment
  net::Instant arrived_{};                // when the request was complete
  net::Instant next_keepalive_{};
  bool counted_ = false;  // as a connection: the ones that only ask for /__stats are not
  bool keep_ = true;      // the connection may carry another request
  bool head_sent_ = false;
  bool chunked_ = false;
  bool watching_ = false;  // readable_bit will ring
  bool gone_ = false;      // the client has left
  bool refused_ = false;   // bytes that are no request: nobody knows where the next one would begin
  bool stopped_ = false;
};

// Serves one connection until it ends.
net::Task<void> serve(Desk& desk, std::unique_ptr<net::Wire> wire);

}  // namespace weir::simulator
