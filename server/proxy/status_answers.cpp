#include "proxy/status_answers.hpp"

namespace weir::proxy {

std::string answer_status_page(bool keep_alive) {
  const std::string_view page = status_page();
  std::string text =
      "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-cache\r\n"
      // Nothing from elsewhere can run in it, nor can it be framed.
      "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
      "connect-src 'self'; img-src data:; frame-ancestors 'none'\r\nx-content-type-options: nosniff\r\n"
      "content-length: " +
      std::to_string(page.size()) + "\r\n";
  if (!keep_alive) text += "connection: close\r\n";
  return text.append("\r\n").append(page);
}

std::string status_json(const Shared& shared) {
  std::string json = shared.history.json(std::chrono::system_clock::now());
  json.insert(1, R"("version":"weir )" WEIR_VERSION R"(",)");
  return json;
}

}  // namespace weir::proxy
