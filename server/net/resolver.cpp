#include "net/resolver.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

#include "net/head.hpp"

namespace weir::net {

// What the threads of look-ups know of the resolver: where to bring an answer, as long as there is somebody to take it.
struct Resolver::Mailbox {
  std::mutex mutex;
  Resolver* resolver;  // nullptr: gone, and perhaps the worker with it

  explicit Mailbox(Resolver& owner) : resolver(&owner) {}
  void close() {
    const std::lock_guard lock(mutex);
    resolver = nullptr;
  }
  // On the worker's thread, where it goes too.
  Resolver* owner() {
    const std::lock_guard lock(mutex);
    return resolver;
  }
  static void bring(const std::shared_ptr<Mailbox>& mailbox, const Key& key, LookedUp found) {
    const std::lock_guard lock(mailbox->mutex);
    if (!mailbox->resolver) return;
    mailbox->resolver->worker_.post([mailbox, key, found = std::move(found)] {
      if (Resolver* const owner = mailbox->owner()) owner->answer(key, found);
    });
  }
};

LookedUp look_up_name(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_protocol = IPPROTO_TCP;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  LookedUp found;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (failed != 0) {
    found.error = failed == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(failed);
    return found;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, ::freeaddrinfo);
  for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
    boost::asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    found.endpoints.push_back(endpoint);
  }
  if (found.endpoints.empty()) found.error = "it has no address";
  return found;
}

Resolver::Resolver(Worker& worker, ResolverOptions options)
    : worker_(worker), options_(std::move(options)), mailbox_(std::make_shared<Mailbox>(*this)) {}

Resolver::~Resolver() {
  mailbox_->close();
}

Resolver::Wait::Wait(Resolver& resolver, std::string host, std::uint16_t port, Bell bell,
                     std::chrono::milliseconds patience)
    : resolver_(resolver), key_(std::move(host), port), bell_(bell), old_does_(resolver.worker_.timers(), bell) {
  boost::system::error_code not_an_address;
  const auto address = boost::asio::ip::make_address(key_.first, not_an_address);
  if (!not_an_address) {
    endpoints_.emplace_back(address, port);
    ready_ = true;
    return;
  }
  // RFC 6761: this name means loopback, also where there is no /etc/hosts to say so (a container from scratch).
  if (equals_ignoring_case(key_.first, "localhost")) {
    endpoints_.emplace_back(boost::asio::ip::address_v4::loopback(), port);
    endpoints_.emplace_back(boost::asio::ip::address_v6::loopback(), port);
    ready_ = true;
    return;
  }
  Entry& entry = resolver_.entries_[key_];
  endpoints_ = entry.endpoints;
  const Instant now = Clock::now();
  if (!endpoints_.empty() && now < entry.fresh_until) {
    ready_ = true;
    return;
  }
  if (!entry.under_way && !resolver_.look_up(key_)) {
    error_ = "there is no thread to look it up";
    ready_ = true;
    return;
  }
  entry.waiters.push_back(this);
  if (!endpoints_.empty()) old_does_.arm(old_does_from_ = now + std::min(resolver_.options_.refresh_max, patience / 2));
}

Resolver::Wait::~Wait() {
  if (ready_) return;
  Entry& entry = resolver_.entries_[key_];
  std::erase(entry.waiters, this);
  std::erase(entry.settling, this);
}

bool Resolver::look_up(const Key& key) {
  try {
    // Not joined by anybody: it holds all that it touches.
    std::thread([mailbox = mailbox_, key, ask = options_.look_up] {
      LookedUp found;
      try {
        found = ask(key.first, key.second);
      } catch (const std::exception& error) {
        found.error = error.what();
      }
      Mailbox::bring(mailbox, key, std::move(found));
    }).detach();
  } catch (const std::system_error&) {
    return false;
  }
  entries_[key].under_way = true;
  return true;
}

void Resolver::answer(const Key& key, LookedUp found) {
  Entry& entry = entries_[key];
  entry.under_way = false;
  if (!found.endpoints.empty()) {
    entry.endpoints = std::move(found.endpoints);
    entry.fresh_until = Clock::now() + options_.keep_for;
  }
  // Ringing a waiter may remove others and add new ones, which wait for the next look-up.
  entry.settling = std::move(entry.waiters);
  entry.waiters.clear();
  while (!entry.settling.empty()) {
    Wait& wait = *entry.settling.back();
    entry.settling.pop_back();
    wait.old_does_.disarm();
    wait.endpoints_ = entry.endpoints;
    wait.error_ = found.error;
    wait.ready_ = true;
    wait.bell_.ring();
  }
}

}  // namespace weir::net
