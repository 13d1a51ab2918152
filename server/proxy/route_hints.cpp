#include "proxy/route_hints.hpp"

#include "proxy/route.hpp"

namespace weir::proxy {
std::string client_route_hint(std::string_view path) {
  if (is_under(path, "/v1/weir"))
    return "there are GET /v1/weir/me and DELETE /v1/weir/requests/{id}; all else of weir's own is on the operator "
           "listener";
  if (is_under(path, "/weir") || path == "/metrics") return "it is on the operator listener (operator.listen)";
  if (path.find("//") != std::string_view::npos) return "leave out the empty segment, '//'";
  if (path.size() > 1 && path.ends_with('/')) return "leave out the '/' at its end";
  return "the API is under /v1";
}

std::string operator_route_hint(std::string_view path) {
  if (path == "/weir/reload") return "it takes POST";
  if (is_under(path, "/v1") || is_under(path, "/chat")) return "the API is on the clients' listener (listen)";
  return "this is the operator listener: GET /weir/ is the status page, and there are /weir/queue, /weir/budgets, "
         "/weir/upstreams, /weir/status, /metrics, /healthz, /readyz and POST /weir/reload";
}

}  // namespace weir::proxy
