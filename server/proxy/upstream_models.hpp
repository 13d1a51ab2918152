// What upstreams say their models are, for GET /v1/models: asked where a pattern routes to them, since only they know
// what fits it. An ask is a request of the caller's that waits for its turn like any other, one at a time per account
// and worker. A list is kept for a minute, that there is none for a shorter time; an account that does not answer, or
// is not to be asked now, is listed by what it said last.
#pragma once

#include <map>
#include <memory>
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
  // The models of all upstreams that patterns lead to, as far as they would be routed there; within a few seconds.
  net::Task<std::vector<ListedModel>> list(Session& session, SnapshotPtr snapshot, const Client& client);

 private:
  struct Entry {
    std::vector<std::string> ids;  // as it said last
    net::Instant known_until{};    // that long they stand
    net::Instant ask_at{};         // not before
    bool being_asked = false;
  };
  class BeingAsked;

  void note_reload(const SnapshotPtr& snapshot);
  static net::Task<void> wait_for_answer(Session& session, const Entry& entry, net::Instant until);
  static net::Task<void> ask(Session& session, const Snapshot& snapshot, const Client& client, const Upstream& upstream,
                             Entry& entry, net::Instant until);

  std::map<std::string, Entry> entries_;     // by upstream name; none is ever erased
  std::weak_ptr<const Snapshot> last_seen_;  // of the last list
};

}  // namespace weir::proxy
