// Who is on this machine: three questions that must not be taken for one another. Pure text; resolves no names.
#pragma once

#include <string_view>

namespace weir::net {

// An address: 127.0.0.0/8, also as IPv6 writes it (::ffff:127.0.0.1), or ::1. What sockets say of their peers.
bool is_loopback_address(std::string_view text);

// What resolves to one, in any case: such an address, localhost, and the names below it (RFC 6761 §6.3). For hosts that
// are connected to.
bool is_loopback_host(std::string_view host);

// How the field Host names one, without its port: localhost, [::1], or digits and dots that begin with 127. Not the
// names below localhost, nor another way to write an address: it guards against web pages, so it takes what people
// type.
bool is_loopback_in_host_field(std::string_view host);

}  // namespace weir::net
