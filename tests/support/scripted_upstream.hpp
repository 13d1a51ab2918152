// A real TCP (or TLS) server on a loopback port, on threads of its own, that does exactly what its script says.
//
//   ScriptedUpstream upstream;
//   upstream.expect_request()                                   // the first connection
//       .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
//       .expect_request()
//       .reset();
//   upstream.next_connection().expect_request().hold().send("HTTP/1.1 200 OK\r\n…").close();   // the second one
//   … point the code under test at upstream.port() …
//   upstream.release();                                         // lets the script go on behind hold()
//   EXPECT_EQ(upstream.requests().at(0).target(), "/v1/models");
//
// Scripts may be extended while they run; a script that is at its end leaves its connection open. Connections take the
// scripts in the order they come; one without a script is served by answer_always(), or else waits for one.
// Every wait has a limit. A step that fails, or that was never reached when the upstream is destroyed, fails the test
// (unless abandon() was called). All members may be called from any thread.
#pragma once

#include <openssl/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/blocking_socket.hpp"
#include "support/http_message.hpp"

namespace weir::test {

class ScriptedUpstream {
 private:
  struct Connection;
  struct Impl;
  struct Steps;

 public:
  // What happens on one connection. Each call adds a step and returns the script.
  class Script {
   public:
    Script& expect_request();
    // Bytes up to and with these, request or not; recorded.
    Script& expect_until(std::string marker);
    // The other side closes the connection, or its half of it, or resets it. What it sends until then is recorded.
    Script& expect_end();
    Script& send(std::string bytes);
    // One system call per piece.
    Script& send_in_pieces(std::string bytes, std::size_t size);
    // The same bytes again and again until the other side is gone.
    Script& send_until_gone(std::string bytes);
    Script& pause(std::chrono::milliseconds time);
    // Waits for ScriptedUpstream::release().
    Script& hold();
    Script& end();  // half close
    Script& close();
    Script& reset();
    // TLS: closes TCP without a close_notify.
    Script& cut();
    // From here on the connection is encrypted: a proxy's tunnel, after its 200.
    Script& start_tls(std::shared_ptr<SSL_CTX> context);

   private:
    friend struct Steps;
    Script(Impl& owner, Steps& steps) : owner_(owner), steps_(steps) {}
    Script& add(std::string name, std::function<void(Connection&)> act);
    Impl& owner_;
    Steps& steps_;
  };

  // With a context (net::make_server_tls) every connection begins with a handshake.
  explicit ScriptedUpstream(std::shared_ptr<SSL_CTX> tls = nullptr, bool v6 = false);
  ~ScriptedUpstream();
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  std::uint16_t port() const;

  // The script being written; the first of these calls begins the first connection's.
  Script& script();
  Script& next_connection();
  Script& expect_request();
  Script& expect_end();
  Script& send(std::string bytes);
  Script& hold();
  Script& end();
  Script& close();
  Script& reset();

  // For connections beyond the scripts: the bytes to answer each request with, kept alive; "" closes the connection.
  void answer_always(std::function<std::string(const HttpMessage& request)> answer);
  void answer_always(std::string answer);
  // Lets one hold() go on, now or when it comes.
  void release();
  // Unreached steps are in order from now on, failing ones too.
  void abandon();

  // What has been seen so far.
  std::size_t connections() const;
  std::vector<HttpMessage> requests() const;  // of all connections, in the order they came
  // Every byte that a script read on it; none before it is there.
  std::string received(std::size_t connection) const;
  std::string server_name(std::size_t connection) const;  // the SNI of its handshake
  // All steps written so far are done.
  bool done() const;
  // Blocks until done(); false when it takes too long. For code under test on other threads; with a Worker on this
  // thread use run_until(worker, [&] { return upstream.done(); }).
  bool wait_done();
  bool wait_requests(std::size_t count);
  bool wait_connections(std::size_t count);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::test
