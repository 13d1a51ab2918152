#include "support/scripted_upstream.hpp"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "support/loopback_port.hpp"

namespace weir::test {
namespace {

struct Stopped {};  // thrown: the upstream is being destroyed

}  // namespace

// The steps of one connection that are not done yet; the first may be under way.
struct ScriptedUpstream::Steps {
  explicit Steps(Impl& upstream) : script(upstream, *this) {}
  Script script;
  struct Step {
    std::string name;
    std::function<void(Connection&)> act;
  };
  std::deque<Step> waiting;
  bool taken = false;  // by a connection
};

struct ScriptedUpstream::Connection {
  Connection(Impl& upstream, int fd) : owner(upstream), socket(fd), reader(socket) {}
  Impl& owner;
  BlockingSocket socket;
  MessageReader reader;
  std::string received, server_name;
  std::thread thread;

  bool expect_request(bool may_end = false, HttpMessage* copy = nullptr);
  void expect_end();
  void record();
  void send_until_gone(std::string_view bytes);
  void pause(std::chrono::milliseconds time);
  void hold();
  void finish(void (BlockingSocket::*how)());
};

struct ScriptedUpstream::Impl {
  Impl(std::shared_ptr<SSL_CTX> context, bool v6) : listener(1024, v6), tls(std::move(context)) {
    accepting = std::thread([this] { accept_all(); });
  }

  Script& next_script();
  bool all_done() const;
  void accept_all();
  void serve(Connection& connection, std::size_t number);
  void serve_always(Connection& connection);
  Steps* take_script();
  void stop();

  LoopbackPort listener;
  std::shared_ptr<SSL_CTX> tls;
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::deque<Steps> scripts;          // stable addresses
  std::list<Connection> connections;  // stable addresses
  std::vector<HttpMessage> requests;
  std::function<std::string(const HttpMessage&)> answer;
  std::size_t releases = 0;
  bool stopping = false;
  bool abandoned = false;
  std::thread accepting;
};

// --- One connection --------------------------------------------------------------------------------------------------

bool ScriptedUpstream::Connection::expect_request(bool may_end, HttpMessage* copy) {
  HttpMessage request;
  const bool came = reader.read_request(request);
  record();
  if (!came && !may_end) throw std::runtime_error("the connection ended before a request");
  if (!came) return false;
  if (copy) *copy = request;
  const std::lock_guard lock(owner.mutex);
  owner.requests.push_back(std::move(request));
  owner.changed.notify_all();
  return true;
}

void ScriptedUpstream::Connection::expect_end() {
  reader.read_to_end();
  record();
}

void ScriptedUpstream::Connection::record() {
  const std::lock_guard lock(owner.mutex);
  received = reader.received();
}

void ScriptedUpstream::Connection::send_until_gone(std::string_view bytes) {
  try {
    for (;;) socket.send(bytes);
  } catch (const ConnectionReset&) {
    // It is gone.
  }
}

void ScriptedUpstream::Connection::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(owner.mutex);
  if (owner.changed.wait_for(lock, time, [&] { return owner.stopping; })) throw Stopped();
}

void ScriptedUpstream::Connection::hold() {
  std::unique_lock lock(owner.mutex);
  const bool released = owner.changed.wait_for(lock, patience, [&] { return owner.stopping || owner.releases > 0; });
  if (owner.stopping) throw Stopped();
  if (!released) throw TimedOut("nobody called release()");
  --owner.releases;
}

void ScriptedUpstream::Connection::finish(void (BlockingSocket::*how)()) {
  const std::lock_guard lock(owner.mutex);  // stop() may look at the descriptor
  (socket.*how)();
}

// --- Scripts ---------------------------------------------------------------------------------------------------------

ScriptedUpstream::Script& ScriptedUpstream::Script::add(std::string name, std::function<void(Connection&)> act) {
  const std::lock_guard lock(owner_.mutex);
  steps_.waiting.push_back({std::move(name), std::move(act)});
  owner_.changed.notify_all();
  return *this;
}

ScriptedUpstream::Script& ScriptedUpstream::Script::expect_request() {
  return add("expect_request", [](Connection& c) { c.expect_request(); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::expect_until(std::string marker) {
  return add("expect_until '" + marker + "'", [marker](Connection& c) {
    c.reader.read_until(marker);
    c.record();
  });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::expect_end() {
  return add("expect_end", [](Connection& c) { c.expect_end(); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::send(std::string bytes) {
  return add("send", [bytes = std::move(bytes)](Connection& c) { c.socket.send(bytes); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::send_in_pieces(std::string bytes, std::size_t size) {
  return add("send_in_pieces", [bytes = std::move(bytes), size](Connection& c) {
    for (std::size_t at = 0; at < bytes.size(); at += size) c.socket.send(std::string_view(bytes).substr(at, size));
  });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::send_until_gone(std::string bytes) {
  return add("send_until_gone", [bytes = std::move(bytes)](Connection& c) { c.send_until_gone(bytes); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::pause(std::chrono::milliseconds time) {
  return add("pause", [time](Connection& c) { c.pause(time); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::hold() {
  return add("hold", [](Connection& c) { c.hold(); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::end() {
  return add("end", [](Connection& c) { c.socket.shutdown_write(); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::close() {
  return add("close", [](Connection& c) { c.finish(&BlockingSocket::close); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::reset() {
  return add("reset", [](Connection& c) { c.finish(&BlockingSocket::reset); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::cut() {
  return add("cut", [](Connection& c) { c.finish(&BlockingSocket::close_without_goodbye); });
}

ScriptedUpstream::Script& ScriptedUpstream::Script::start_tls(std::shared_ptr<SSL_CTX> context) {
  return add("start_tls", [context](Connection& c) { c.socket.start_tls_server(context.get()); });
}

// --- The upstream's threads ------------------------------------------------------------------------------------------

ScriptedUpstream::Script& ScriptedUpstream::Impl::next_script() {
  Script& script = scripts.emplace_back(*this).script;
  changed.notify_all();
  return script;
}

bool ScriptedUpstream::Impl::all_done() const {
  return std::all_of(scripts.begin(), scripts.end(), [](const Steps& steps) { return steps.waiting.empty(); });
}

void ScriptedUpstream::Impl::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    const std::lock_guard lock(mutex);
    if (stopping || fd < 0) {
      if (fd >= 0) ::close(fd);
      return;
    }
    Connection& connection = connections.emplace_back(*this, fd);
    connection.thread = std::thread([this, &connection, number = connections.size()] { serve(connection, number); });
    changed.notify_all();
  }
}

void ScriptedUpstream::Impl::serve(Connection& connection, std::size_t number) {
  std::string step = "TLS handshake";
  Steps* steps = nullptr;
  try {
    if (tls) {
      connection.socket.start_tls_server(tls.get());
      const char* name = SSL_get_servername(connection.socket.tls(), TLSEXT_NAMETYPE_host_name);
      const std::lock_guard lock(mutex);
      connection.server_name = name ? name : "";
    }
    step = "waiting for a script";
    steps = take_script();
    if (!steps) {
      serve_always(connection);
      return;
    }
    for (;;) {
      std::function<void(Connection&)> act;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return stopping || !steps->waiting.empty(); });
        if (stopping) return;
        step = steps->waiting.front().name;
        act = steps->waiting.front().act;
      }
      act(connection);
      const std::lock_guard lock(mutex);
      steps->waiting.pop_front();
      changed.notify_all();
    }
  } catch (const Stopped&) {
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex);
    if (steps) steps->waiting.clear();
    if (!stopping && !abandoned && step != "TLS handshake") {
      ADD_FAILURE() << "scripted upstream, connection " << number << ", " << step << ": " << error.what();
    }
    changed.notify_all();
  }
}

void ScriptedUpstream::Impl::serve_always(Connection& connection) {
  try {
    HttpMessage request;
    while (connection.expect_request(true, &request)) {
      std::function<std::string(const HttpMessage&)> make_answer;
      {
        const std::lock_guard lock(mutex);
        make_answer = answer;
      }
      const std::string bytes = make_answer(request);
      if (bytes.empty()) break;
      connection.socket.send(bytes);
    }
  } catch (const SocketError&) {
    // The client left, or never came back.
  }
  connection.finish(&BlockingSocket::close);
}

// The next script nobody has; nullptr: answer_always.
ScriptedUpstream::Steps* ScriptedUpstream::Impl::take_script() {
  std::unique_lock lock(mutex);
  const auto next = [&]() -> Steps* {
    for (Steps& steps : scripts) {
      if (!steps.taken) return &steps;
    }
    return nullptr;
  };
  changed.wait(lock, [&] { return stopping || next() || answer; });
  if (stopping) throw Stopped();
  Steps* steps = next();
  if (steps) steps->taken = true;
  return steps;
}

void ScriptedUpstream::Impl::stop() {
  {
    std::unique_lock lock(mutex);
    // The other side may have seen the last step's bytes before that step was marked as done.
    changed.wait_for(lock, 1s, [&] { return abandoned || all_done(); });
    stopping = true;
    std::size_t number = 0;
    for (const Steps& steps : scripts) {
      ++number;
      if (steps.waiting.empty() || abandoned) continue;
      ADD_FAILURE() << "scripted upstream, connection " << number << (steps.taken ? "" : " (which never came)") << ": "
                    << steps.waiting.size() << " steps not done, beginning with " << steps.waiting.front().name;
    }
    ::shutdown(listener.fd(), SHUT_RDWR);  // ends the accept
    for (const Connection& connection : connections) {
      if (connection.socket.is_open()) connection.socket.interrupt();
    }
    changed.notify_all();
  }
  accepting.join();
  for (Connection& connection : connections) connection.thread.join();
}

// --- What tests call -------------------------------------------------------------------------------------------------

ScriptedUpstream::ScriptedUpstream(std::shared_ptr<SSL_CTX> tls, bool v6)
    : impl_(std::make_unique<Impl>(std::move(tls), v6)) {}

ScriptedUpstream::~ScriptedUpstream() {
  impl_->stop();
}

std::uint16_t ScriptedUpstream::port() const {
  return impl_->listener.port();
}

ScriptedUpstream::Script& ScriptedUpstream::script() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->scripts.empty() ? impl_->next_script() : impl_->scripts.back().script;
}

ScriptedUpstream::Script& ScriptedUpstream::next_connection() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->next_script();
}

ScriptedUpstream::Script& ScriptedUpstream::expect_request() {
  return script().expect_request();
}

ScriptedUpstream::Script& ScriptedUpstream::expect_end() {
  return script().expect_end();
}

ScriptedUpstream::Script& ScriptedUpstream::send(std::string bytes) {
  return script().send(std::move(bytes));
}

ScriptedUpstream::Script& ScriptedUpstream::hold() {
  return script().hold();
}

ScriptedUpstream::Script& ScriptedUpstream::end() {
  return script().end();
}

ScriptedUpstream::Script& ScriptedUpstream::close() {
  return script().close();
}

ScriptedUpstream::Script& ScriptedUpstream::reset() {
  return script().reset();
}

void ScriptedUpstream::answer_always(std::function<std::string(const HttpMessage& request)> answer) {
  const std::lock_guard lock(impl_->mutex);
  impl_->answer = std::move(answer);
  impl_->changed.notify_all();
}

void ScriptedUpstream::answer_always(std::string answer) {
  answer_always([answer = std::move(answer)](const HttpMessage&) { return answer; });
}

void ScriptedUpstream::release() {
  const std::lock_guard lock(impl_->mutex);
  ++impl_->releases;
  impl_->changed.notify_all();
}

void ScriptedUpstream::abandon() {
  const std::lock_guard lock(impl_->mutex);
  impl_->abandoned = true;
}

std::size_t ScriptedUpstream::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections.size();
}

std::vector<HttpMessage> ScriptedUpstream::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}

std::string ScriptedUpstream::received(std::size_t connection) const {
  const std::lock_guard lock(impl_->mutex);
  if (connection >= impl_->connections.size()) return {};
  return std::next(impl_->connections.begin(), static_cast<std::ptrdiff_t>(connection))->received;
}

std::string ScriptedUpstream::server_name(std::size_t connection) const {
  const std::lock_guard lock(impl_->mutex);
  return std::next(impl_->connections.begin(), static_cast<std::ptrdiff_t>(connection))->server_name;
}

bool ScriptedUpstream::done() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->all_done();
}

bool ScriptedUpstream::wait_done() {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, patience, [&] { return impl_->all_done(); });
}

bool ScriptedUpstream::wait_requests(std::size_t count) {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, patience, [&] { return impl_->requests.size() >= count; });
}

bool ScriptedUpstream::wait_connections(std::size_t count) {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, patience, [&] { return impl_->connections.size() >= count; });
}

}  // namespace weir::test
