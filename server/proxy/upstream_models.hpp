// What upstreams say their models are, for GET /v1/models: asked where a pattern routes to them, since only they know
// what fits it. Answers are kept for a minute per worker; an upstream that does not answer in time is left out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "net/task.hpp"
#include "proxy/authenticate.hpp"

namespace weir::proxy {

class Session;

// A model and the account that serves it.
struct ListedModel {
  std::string id;
  std::string upstream;
};

// Of one worker; used on its thread only. As many entries as there are upstreams.
class UpstreamModels {
 public:
  // The models of all upstreams that patterns lead to, as far as they would be routed there.
  net::Task<std::vector<ListedModel>> list(Session& session, SnapshotPtr snapshot, const Client& client);

 private:
  net::Task<std::vector<std::string>> ask(Session& session, const Snapshot& snapshot, const Upstream& upstream);

  struct Entry {
    std::vector<std::string> ids;
    net::Instant fresh_until{};
  };
  std::map<std::string, Entry> entries_;  // by upstream name
};

}  // namespace weir::proxy
