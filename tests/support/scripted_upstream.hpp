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

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/socket_wire.hpp"
#include "support/blocking_socket.hpp"
#include "support/http_message.hpp"
#include "support/loopback_port.hpp"

namespace weir::test {

class ScriptedUpstream {
 private:
  struct Connection;
  struct Step {
    std::string name;
    std::function<void(Connection&)> act;
  };

 public:
  // What happens on one connection. Each call adds a step and returns the script.
  class Script {
   public:
    Script& expect_request() {
      return add("expect_request", [](Connection& c) { c.expect_request(); });
    }
    // Bytes up to and with these, request or not; recorded.
    Script& expect_until(std::string marker) {
      return add("expect_until '" + marker + "'", [marker](Connection& c) {
        c.reader.read_until(marker);
        c.record();
      });
    }
    // The other side closes the connection, or its half of it, or resets it. What it sends until then is recorded.
    Script& expect_end() {
      return add("expect_end", [](Connection& c) { c.expect_end(); });
    }
    Script& send(std::string bytes) {
      return add("send", [bytes = std::move(bytes)](Connection& c) { c.socket.send(bytes); });
    }
    // One system call per piece.
    Script& send_in_pieces(std::string bytes, std::size_t size) {
      return add("send_in_pieces", [bytes = std::move(bytes), size](Connection& c) {
        for (std::size_t at = 0; at < bytes.size(); at += size) c.socket.send(std::string_view(bytes).substr(at, size));
      });
    }
    // The same bytes again and again until the other side is gone.
    Script& send_until_gone(std::string bytes) {
      return add("send_until_gone", [bytes = std::move(bytes)](Connection& c) { c.send_until_gone(bytes); });
    }
    Script& pause(std::chrono::milliseconds time) {
      return add("pause", [time](Connection& c) { c.pause(time); });
    }
    // Waits for ScriptedUpstream::release().
    Script& hold() {
      return add("hold", [](Connection& c) { c.hold(); });
    }
    Script& end() {
      return add("end", [](Connection& c) { c.socket.shutdown_write(); });
    }  // half close
    Script& close() {
      return add("close", [](Connection& c) { c.finish(&BlockingSocket::close); });
    }
    Script& reset() {
      return add("reset", [](Connection& c) { c.finish(&BlockingSocket::reset); });
    }
    // TLS: closes TCP without a close_notify.
    Script& cut() {
      return add("cut", [](Connection& c) { c.finish(&BlockingSocket::close_without_goodbye); });
    }

    // From here on the connection is encrypted: a proxy's tunnel, after its 200.
    Script& start_tls(net::SslContextPtr context) {
      return add("start_tls", [context](Connection& c) { c.socket.start_tls_server(context.get()); });
    }

   private:
    friend class ScriptedUpstream;
    explicit Script(ScriptedUpstream& owner) : owner_(owner) {}
    Script& add(std::string name, std::function<void(Connection&)> act) {
      const std::lock_guard lock(owner_.mutex_);
      steps_.push_back({std::move(name), std::move(act)});
      owner_.changed_.notify_all();
      return *this;
    }
    ScriptedUpstream& owner_;
    std::deque<Step> steps_;  // those not done yet; the first may be under way
    bool taken_ = false;
  };

  // With a context (net::make_server_tls) every connection begins with a handshake.
  explicit ScriptedUpstream(net::SslContextPtr tls = nullptr, bool v6 = false)
      : listener_(1024, v6), tls_(std::move(tls)) {
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~ScriptedUpstream() { stop(); }
  ScriptedUpstream(const ScriptedUpstream&) = delete;

  std::uint16_t port() const { return listener_.port(); }

  // The script being written; the first of these calls begins the first connection's.
  Script& script() {
    const std::lock_guard lock(mutex_);
    if (scripts_.empty()) scripts_.emplace_back(Script(*this));
    return scripts_.back();
  }
  Script& next_connection() {
    const std::lock_guard lock(mutex_);
    scripts_.emplace_back(Script(*this));
    changed_.notify_all();
    return scripts_.back();
  }
  Script& expect_request() { return script().expect_request(); }
  Script& expect_end() { return script().expect_end(); }
  Script& send(std::string bytes) { return script().send(std::move(bytes)); }
  Script& hold() { return script().hold(); }
  Script& end() { return script().end(); }
  Script& close() { return script().close(); }
  Script& reset() { return script().reset(); }

  // For connections beyond the scripts: the bytes to answer each request with, kept alive; "" closes the connection.
  void answer_always(std::function<std::string(const HttpMessage& request)> answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    changed_.notify_all();
  }
  void answer_always(std::string answer) {
    answer_always([answer = std::move(answer)](const HttpMessage&) { return answer; });
  }
  // Lets one hold() go on, now or when it comes.
  void release() {
    const std::lock_guard lock(mutex_);
    ++releases_;
    changed_.notify_all();
  }
  // Unreached steps are in order from now on, failing ones too.
  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }

  // What has been seen so far.
  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }
  std::vector<HttpMessage> requests() const {  // of all connections, in the order they came
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // Every byte that a script read on it; none before it is there.
  std::string received(std::size_t connection) const {
    const std::lock_guard lock(mutex_);
    if (connection >= connections_.size()) return {};
    auto found = connections_.begin();
    std::advance(found, static_cast<std::ptrdiff_t>(connection));
    return found->received;
  }
  std::string server_name(std::size_t connection) const {  // the SNI of its handshake
    const std::lock_guard lock(mutex_);
    auto found = connections_.begin();
    std::advance(found, static_cast<std::ptrdiff_t>(connection));
    return found->server_name;
  }
  // All steps written so far are done.
  bool done() const {
    const std::lock_guard lock(mutex_);
    return all_done();
  }
  // Blocks until done(); false when it takes too long. For code under test on other threads; with a Worker on this
  // thread use run_until(worker, [&] { return upstream.done(); }).
  bool wait_done() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return all_done(); });
  }
  bool wait_requests(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return requests_.size() >= count; });
  }
  bool wait_connections(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return connections_.size() >= count; });
  }

 private:
  struct Stopped {};

  struct Connection {
    explicit Connection(ScriptedUpstream& upstream, int fd) : owner(upstream), socket(fd), reader(socket) {}
    ScriptedUpstream& owner;
    BlockingSocket socket;
    MessageReader reader;
    std::string received, server_name;
    std::thread thread;

    bool expect_request(bool may_end = false, HttpMessage* copy = nullptr) {
      HttpMessage request;
      const bool came = reader.read_request(request);
      record();
      if (!came && !may_end) throw std::runtime_error("the connection ended before a request");
      if (!came) return false;
      if (copy) *copy = request;
      const std::lock_guard lock(owner.mutex_);
      owner.requests_.push_back(std::move(request));
      owner.changed_.notify_all();
      return true;
    }
    void expect_end() {
      reader.read_to_end();
      record();
    }
    void record() {
      const std::lock_guard lock(owner.mutex_);
      received = reader.received();
    }
    void send_until_gone(std::string_view bytes) {
      try {
        for (;;) socket.send(bytes);
      } catch (const ConnectionReset&) {
        // It is gone.
      }
    }
    void pause(std::chrono::milliseconds time) {
      std::unique_lock lock(owner.mutex_);
      if (owner.changed_.wait_for(lock, time, [&] { return owner.stopping_; })) throw Stopped();
    }
    void hold() {
      std::unique_lock lock(owner.mutex_);
      const bool released =
          owner.changed_.wait_for(lock, patience, [&] { return owner.stopping_ || owner.releases_ > 0; });
      if (owner.stopping_) throw Stopped();
      if (!released) throw TimedOut("nobody called release()");
      --owner.releases_;
    }
    void finish(void (BlockingSocket::*how)()) {
      const std::lock_guard lock(owner.mutex_);  // stop() may look at the descriptor
      (socket.*how)();
    }
  };

  bool all_done() const {
    return std::all_of(scripts_.begin(), scripts_.end(), [](const Script& script) { return script.steps_.empty(); });
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
      const std::lock_guard lock(mutex_);
      if (stopping_ || fd < 0) {
        if (fd >= 0) ::close(fd);
        return;
      }
      Connection& connection = connections_.emplace_back(*this, fd);
      connection.thread = std::thread([this, &connection, number = connections_.size()] { serve(connection, number); });
      changed_.notify_all();
    }
  }

  void serve(Connection& connection, std::size_t number) {
    std::string step = "TLS handshake";
    Script* script = nullptr;
    try {
      if (tls_) {
        connection.socket.start_tls_server(tls_.get());
        const char* name = SSL_get_servername(connection.socket.tls(), TLSEXT_NAMETYPE_host_name);
        const std::lock_guard lock(mutex_);
        connection.server_name = name ? name : "";
      }
      step = "waiting for a script";
      script = take_script();
      if (!script) {
        serve_always(connection);
        return;
      }
      for (;;) {
        std::function<void(Connection&)> act;
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [&] { return stopping_ || !script->steps_.empty(); });
          if (stopping_) return;
          step = script->steps_.front().name;
          act = script->steps_.front().act;
        }
        act(connection);
        const std::lock_guard lock(mutex_);
        script->steps_.pop_front();
        changed_.notify_all();
      }
    } catch (const Stopped&) {
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (script) script->steps_.clear();
      if (!stopping_ && !abandoned_ && step != "TLS handshake") {
        ADD_FAILURE() << "scripted upstream, connection " << number << ", " << step << ": " << error.what();
      }
      changed_.notify_all();
    }
  }

  void serve_always(Connection& connection) {
    try {
      HttpMessage request;
      while (connection.expect_request(true, &request)) {
        std::function<std::string(const HttpMessage&)> answer;
        {
          const std::lock_guard lock(mutex_);
          answer = answer_;
        }
        const std::string bytes = answer(request);
        if (bytes.empty()) break;
        connection.socket.send(bytes);
      }
    } catch (const SocketError&) {
      // The client left, or never came back.
    }
    connection.finish(&BlockingSocket::close);
  }

  // The next script nobody has; nullptr: answer_always.
  Script* take_script() {
    std::unique_lock lock(mutex_);
    const auto next = [&]() -> Script* {
      for (Script& script : scripts_) {
        if (!script.taken_) return &script;
      }
      return nullptr;
    };
    changed_.wait(lock, [&] { return stopping_ || next() || answer_; });
    if (stopping_) throw Stopped();
    Script* script = next();
    if (script) script->taken_ = true;
    return script;
  }

  void stop() {
    {
      std::unique_lock lock(mutex_);
      // The other side may have seen the last step's bytes before that step was marked as done.
      changed_.wait_for(lock, 1s, [&] { return abandoned_ || all_done(); });
      stopping_ = true;
      std::size_t number = 0;
      for (const Script& script : scripts_) {
        ++number;
        if (script.steps_.empty() || abandoned_) continue;
        ADD_FAILURE() << "scripted upstream, connection " << number << (script.taken_ ? "" : " (which never came)")
                      << ": " << script.steps_.size() << " steps not done, beginning with "
                      << script.steps_.front().name;
      }
      ::shutdown(listener_.fd(), SHUT_RDWR);  // ends the accept
      for (const Connection& connection : connections_) {
        if (connection.socket.is_open()) connection.socket.interrupt();
      }
      changed_.notify_all();
    }
    accepting_.join();
    for (Connection& connection : connections_) connection.thread.join();
  }

  LoopbackPort listener_;
  net::SslContextPtr tls_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Script> scripts_;         // stable addresses
  std::list<Connection> connections_;  // stable addresses
  std::vector<HttpMessage> requests_;
  std::function<std::string(const HttpMessage&)> answer_;
  std::size_t releases_ = 0;
  bool stopping_ = false;
  bool abandoned_ = false;
  std::thread accepting_;
};

}  // namespace weir::test
