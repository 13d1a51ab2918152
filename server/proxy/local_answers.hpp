// Answers that weir gives from what it knows itself: health, the merged list of models, CORS preflights. Pure: values
// in, a whole HTTP response out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/authenticate.hpp"
#include "proxy/route.hpp"
#include "proxy/session.hpp"
#include "proxy/upstream_models.hpp"

namespace weir::proxy {

// Head and body as bytes, and the status that stands in them.
struct LocalAnswer {
  int status = 200;
  std::string text;
};

// /healthz and /readyz. The reason stands in the body on the operators' listener only.
LocalAnswer answer_probe(Route::Kind kind, const Snapshot& snapshot, const Shared& shared, Door door, bool keep_alive);

// GET /v1/models: what the key may use, over all upstreams, each with the upstream that serves it.
// What a client may use, each once. `asked`: what upstreams said of themselves (upstream_models.hpp).
std::vector<ListedModel> models_of(const Snapshot& snapshot, const Client& client,
                                   const std::vector<ListedModel>& asked = {});
// A model as GET /v1/models/{id} tells of it, and the list of GET /v1/models.
std::string model_json(const ListedModel& model);
std::string model_list_json(const std::vector<ListedModel>& models);

// OPTIONS from a page of a listed origin.
LocalAnswer answer_preflight(std::string_view origin, bool keep_alive);

// The answer as a request of this method gets it: HEAD without the body.
std::string fit_to_method(std::string answer, std::string_view method);

// An answer of weir's own. `headers`: whole lines.
LocalAnswer write_answer(int status, std::string_view type, std::string_view body, std::string_view headers,
                         bool keep_alive);
// A JSON answer of weir's own.
LocalAnswer write_json_answer(int status, std::string_view body, std::string_view headers, bool keep_alive);

}  // namespace weir::proxy
