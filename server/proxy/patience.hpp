// How long a caller will wait, as its own library counts: a read timeout of Python bounds the gap between bytes, a
// timeout of Node the time to the first byte, one of Java or Go the whole call. Heartbeats feed the first two. Some say
// it in headers; that Node's fetch gives up after 300 s follows from the user agent. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "net/head.hpp"
#include "proxy/settings.hpp"

namespace weir::proxy {

struct Patience {
  std::optional<Duration> first_byte;  // something has to come within it
  std::string_view first_byte_by;      // who says so, for people
  std::optional<Duration> total;       // everything has to
};

Patience patience_of(const net::MessageHead& head);

// `by`: whose word it is, for people.
struct WaitBound {
  Duration time{0};
  std::string_view by;
};

// The longest a request may wait for budget: the smallest of the setting, what the caller says (x-weir-max-wait) and
// what its library will bear. `first_beat`: when a waiting caller first hears something; nullopt: never.
WaitBound wait_bound(const net::MessageHead& head, Duration wait_max, std::optional<Duration> first_beat,
                     Duration expected_answer);

}  // namespace weir::proxy
