#include "proxy/local_answers.hpp"

#include <set>

#include "net/reason_phrase.hpp"
#include "protocol/error_body.hpp"
#include "proxy/forward_headers.hpp"
#include "proxy/method.hpp"
#include "proxy/readiness.hpp"

namespace weir::proxy {

LocalAnswer write_answer(int status, std::string_view type, std::string_view body, std::string_view headers,
                         bool keep_alive) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " ";
  out += net::reason_phrase(status);
  out += "\r\n";
  if (status != 204) {
    out += "content-type: ";
    out += type;
    out += "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n";
  }
  if (!keep_alive) out += "connection: close\r\n";
  out += headers;
  out += "\r\n";
  out += body;
  return {status, std::move(out)};
}

std::string fit_to_method(std::string answer, std::string_view method) {
  if (method == "HEAD") answer.resize(answer.find("\r\n\r\n") + 4);
  return answer;
}

LocalAnswer write_json_answer(int status, std::string_view body, std::string_view headers, bool keep_alive) {
  return write_answer(status, "application/json", body, headers, keep_alive);
}

LocalAnswer answer_probe(Route::Kind kind, const Snapshot& snapshot, const Shared& shared, Door door, bool keep_alive) {
  bool good = true;
  std::string reason = "alive";
  if (kind == Route::Kind::readyz) {
    Readiness readiness{false, "shutting down"};
    if (!shared.draining && !shared.announcing)
      readiness = readiness_of(*snapshot.settings, shared.health, net::Clock::now());
    good = readiness.ready;
    reason = readiness.reason;
  }
  const std::string body = door == Door::operators ? reason + "\n" : std::string(good ? "ok\n" : "not ready\n");
  return write_answer(good ? 200 : 503, "text/plain; charset=utf-8", body, "cache-control: no-store\r\n", keep_alive);
}

std::vector<ListedModel> models_of(const Snapshot& snapshot, const Client& client,
                                   const std::vector<ListedModel>& asked) {
  const Settings& settings = *snapshot.settings;
  std::set<std::string> seen;
  std::vector<ListedModel> models;
  const auto list = [&](const std::string& model, const std::string& upstream) {
    if (model.find('*') != std::string::npos || !may_use_model(client, model) || !seen.insert(model).second) return;
    models.push_back({model, upstream});
  };
  for (const ModelRoute& route : settings.routes) {
    if (!route.listed) continue;
    for (const Target& target : route.targets) {
      const Upstream& upstream = settings.upstreams[target.upstream];
      if (!may_use_upstream(client, upstream.name)) continue;
      list(route.pattern, upstream.name);
      // A pattern stands for the models of its provider that fit it.
      if (route.pattern.find('*') == std::string::npos) continue;
      for (const ModelProfile& profile : upstream.models) {
        if (matches_pattern(route.pattern, profile.name)) list(profile.name, upstream.name);
      }
    }
  }
  for (const ListedModel& model : asked) list(model.id, model.upstream);
  return models;
}

std::string model_json(const ListedModel& model) {
  return "{\"id\":" + protocol::json_quote(model.id) +
         ",\"object\":\"model\",\"created\":0,\"owned_by\":" + protocol::json_quote(model.upstream) + "}";
}

std::string model_list_json(const std::vector<ListedModel>& models) {
  std::string data;
  for (const ListedModel& model : models) {
    if (!data.empty()) data += ',';
    data += model_json(model);
  }
  return "{\"object\":\"list\",\"data\":[" + data + "]}";
}

LocalAnswer answer_preflight(std::string_view origin, bool keep_alive) {
  std::string headers = cors_fields(origin) + "access-control-allow-methods: ";
  headers += known_methods;
  headers += "\r\naccess-control-allow-headers: *, authorization\r\naccess-control-max-age: 600\r\n";
  return write_answer(204, {}, {}, headers, keep_alive);
}

}  // namespace weir::proxy
