#include "net/hangup_watch.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace weir::net {

boost::asio::execution_context::id HangupWatch::id;

HangupWatch::HangupWatch(boost::asio::io_context& io) : service(io), epoll_(io) {
  const int fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  epoll_.assign(fd);
}

void HangupWatch::shutdown() {
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

void HangupWatch::watch(Place& place, int fd, Bell bell) {
  place.bell = bell;
  if (place.fd >= 0) return;
  epoll_event asked{};
  asked.events = EPOLLRDHUP;
  asked.data.ptr = &place;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, fd, &asked) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  place.fd = fd;
  ++watched_;
  wait();
}

void HangupWatch::unwatch(Place& place) {
  if (place.fd < 0) return;
  forget(place);
  place.bell = {};
  // A wait for nothing would keep the event loop from running out of work.
  boost::system::error_code ignored;
  if (watched_ == 0) epoll_.cancel(ignored);
}

void HangupWatch::forget(Place& place) {
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, place.fd, nullptr);
  place.fd = -1;
  --watched_;
}

void HangupWatch::wait() {
  if (waiting_) return;
  waiting_ = true;
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code&) {
    waiting_ = false;
    if (!epoll_.is_open()) return;
    ring_all();
    if (watched_ > 0) wait();
  });
}

// One at a time: whoever is rung may end another that is due as well.
void HangupWatch::ring_all() {
  epoll_event event{};
  while (::epoll_wait(epoll_.native_handle(), &event, 1, 0) == 1) {
    Place& place = *static_cast<Place*>(event.data.ptr);
    forget(place);
    std::exchange(place.bell, Bell{}).ring();
  }
}

}  // namespace weir::net
