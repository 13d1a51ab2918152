#include "proxy/status_answers.hpp"

#include "proxy/local_answers.hpp"

namespace weir::proxy {

std::string answer_status_page(bool keep_alive) {
  // Nothing from elsewhere can run in it, nor can it be framed.
  constexpr std::string_view headers =
      "cache-control: no-cache\r\n"
      "content-security-policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
      "connect-src 'self'; img-src data:; frame-ancestors 'none'\r\n"
      "x-content-type-options: nosniff\r\n";
  return write_answer(200, "text/html; charset=utf-8", status_page(), headers, keep_alive).text;
}

std::string status_json(const Shared& shared) {
  std::string json = shared.history.json(std::chrono::system_clock::now());
  json.insert(1, R"("version":"weir )" WEIR_VERSION R"(",)");
  return json;
}

}  // namespace weir::proxy
