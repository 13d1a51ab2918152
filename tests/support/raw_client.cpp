#include "support/raw_client.hpp"

#include <algorithm>

namespace weir::test {

RawClient::RawClient(std::uint16_t port, const std::string& address, int receive_buffer)
    : socket_(BlockingSocket::connect(port, address, receive_buffer)), reader_(socket_) {}

RawClient::~RawClient() = default;

void RawClient::send_in_pieces(std::string_view bytes, std::size_t size) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) socket_.send(bytes.substr(0, size));
}

std::string RawClient::request(std::string_view bytes) {
  send(bytes);
  return read_to_end();
}

bool RawClient::sees_end() {
  return reader_.read_to_end().empty() && !reader_.broken();
}

bool RawClient::sees_reset() {
  reader_.read_to_end();
  return reader_.broken();
}

bool RawClient::silent_for(std::chrono::milliseconds time) {
  return reader_.unread().empty() && !socket_.readable(time);
}

}  // namespace weir::test
