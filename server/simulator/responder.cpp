#include "simulator/responder.hpp"

#include <array>
#include <ctime>

#include "protocol/error_body.hpp"
#include "simulator/base64.hpp"
#include "simulator/text.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

using protocol::json_quote;

constexpr std::array<std::string_view, 8> models{"deepseek-chat",     "deepseek-reasoner", "deepseek-v3",
                                                 "deepseek-r1",       "gpt-4o-mini",       "text-embedding-3-small",
                                                 "claude-sonnet-4-5", "simulated"};
// At Ark the chain of thought is bounded by itself when max_tokens bounds the answer only (providers.md §8.2).
constexpr std::uint64_t ark_thoughts_max = 32'768;

std::int64_t unix_time() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

// HEAD is GET whose answer goes out without its body.
bool reads(const net::RequestHead& head) {
  return head.method == "GET" || head.method == "HEAD";
}

std::string model_json(std::string_view id) {
  return join(R"({"id":)", json_quote(id), R"(,"object":"model","created":1735000000,"owned_by":"simulated"})");
}

std::string file_json(const std::string& id, const StoredFile& stored) {
  const UploadedFile& file = stored.file;
  return join(R"({"id":")", id, R"(","object":"file","bytes":)", file.bytes, R"(,"created_at":)", stored.created,
              R"(,"filename":)", json_quote(file.filename), R"(,"purpose":)", json_quote(file.purpose),
              R"(,"status":"processed","sha256":")", file.sha256, R"(","body_bytes":)", file.body_bytes,
              R"(,"body_sha256":")", file.body_sha256, R"("})");
}

// The last request as a test wants to see it.
std::string last_json(const LastRequest& last) {
  net::RequestHead head;
  if (last.head.empty() || net::parse_request_head(last.head, net::HeadLimits{}, head)) return "null";
  std::string out = join(R"({"method":)", json_quote(head.method), R"(,"target":)", json_quote(head.target),
                         R"(,"version":)", head.version, R"(,"headers":[)");
  for (const net::Field& field : head.fields) {
    put(out, out.back() == '[' ? "" : ",", "[", json_quote(field.name), ",", json_quote(field.value), "]");
  }
  put(out, R"(],"body_bytes":)", last.body_bytes, R"(,"body_sha256":)",
      last.body_bytes == last.body.size() ? json_quote(sha256(last.body)) : "null", R"(,"body":)",
      json_quote(last.body), R"(,"body_base64":")");
  append_base64(out, last.body);
  return out + "\"}";
}

Claim claim_of(const ModelRequest& request, const Output& output, const Options& options) {
  Claim claim{request.prompt_tokens, 0, request.n, request.best_of};
  if (request.max_total_tokens) {
    claim.cap = *request.max_total_tokens;
  } else if (request.max_tokens) {
    const bool thoughts_apart = options.dialect == Dialect::ark && output.thoughts() > 0;
    claim.cap = *request.max_tokens + (thoughts_apart ? ark_thoughts_max : 0);
  } else {
    claim.cap = options.default_cap > 0 ? options.default_cap : output.size();
  }
  return claim;
}

}  // namespace

struct Responder::Context {
  Request& request;
  Voice voice;
  std::string request_id;
  Behaviour behaviour;
};

std::uint64_t Reply::tokens() const {
  return answer ? answer->parts().output.size() * answer->parts().n : 0;
}

Responder::Responder(const Options& options, Ledger& ledger, Stores& stores, unsigned worker)
    : options_(options), ledger_(ledger), stores_(stores), ids_((options.seed << 16) + worker) {
  // Ids must differ between runs too: what a run before issued is unknown to this one.
  ids_ ^= static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) << 20;
}

std::string Responder::mint() {
  constexpr char alphabet[] = "0123456789abcdefghijklmnopqrstuv";
  std::string id(24, '0');
  std::uint64_t z = 0;
  for (std::size_t i = 0; i < id.size(); ++i, z >>= 5) {
    if (i % 12 == 0) {
      z = ids_ += 0x9e3779b97f4a7c15u;  // splitmix64
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      z ^= z >> 31;
    }
    id[i] = alphabet[z & 31];
  }
  return id;
}

Reply Responder::malformed(int status, std::string_view reason) {
  const Voice voice = voice_of(options_.dialect);
  ledger_.refused(Cause::other);
  Problem problem = bad_body(voice, reason, {});
  problem.status = status;
  Reply reply;
  reply.status = status;
  reply.body = problem_body(voice, problem, mint());
  return reply;
}

Reply Responder::respond(Request& request) {
  if (is_own(request.target.route)) return own(request);
  ledger_.received(request.target.route);
  ledger_.remember(request.head_bytes, request.body, request.body_bytes);

  const bool anthropic = request.target.route == Route::messages || request.target.route == Route::count_tokens ||
                         request.head.target.starts_with("/anthropic");
  Context context{request, anthropic ? Voice::anthropic : voice_of(options_.dialect), "req_" + mint(), {}};
  auto behaviour = read_behaviour(options_, request.head);
  if (const auto* wrong = std::get_if<std::string>(&behaviour)) {
    return problem(context, bad_body(context.voice, *wrong, {}), Cause::bad_body);
  }
  context.behaviour = std::move(std::get<Behaviour>(behaviour));

  std::string_view key;
  if (is_bad_key(request, key)) return problem(context, bad_key(context.voice, key), Cause::bad_key);
  if (auto reply = scripted(context)) return std::move(*reply);
  switch (request.target.route) {
    case Route::chat:
    case Route::completions:
    case Route::embeddings:
    case Route::responses:
    case Route::messages:
    case Route::count_tokens:
      if (request.head.method == "POST") return inference(context);
      return problem(context, unknown_path(context.voice, request.head.method, request.head.target), Cause::other);
    case Route::files:
    case Route::file:
    case Route::file_content:
      return files(context);
    default:
      return look_up(context);
  }
}

Reply Responder::own(const Request& request) {
  Reply reply;
  if (request.target.route == Route::stats) {
    reply.body = to_json(ledger_.stats());
  } else if (request.target.route == Route::reset) {
    ledger_.reset();
    reply.body = "{}";
  } else {
    LastRequest last = ledger_.last_request();
    if (request.target.route == Route::last) {
      reply.body = last_json(last);
    } else {
      reply.content_type = "application/octet-stream";
      reply.body = std::move(request.target.route == Route::last_head ? last.head : last.body);
    }
  }
  return reply;
}

bool Responder::is_bad_key(const Request& request, std::string_view& key) const {
  for (const net::Field& field : request.head.fields) {
    const bool bearer = net::equals_ignoring_case(field.name, "authorization");
    if (!bearer && !net::equals_ignoring_case(field.name, "x-api-key") &&
        !net::equals_ignoring_case(field.name, "api-key"))
      continue;
    key = field.value;
    if (bearer && key.starts_with("Bearer ")) key.remove_prefix(7);
    if (key.starts_with("invalid") || key.starts_with("sk-invalid")) return true;
  }
  return false;
}

// Failures that were asked for, by flags or headers; nullopt: the request goes on.
std::optional<Reply> Responder::scripted(Context& context) {
  Behaviour& behaviour = context.behaviour;
  const auto fail = [&](int status, Cause cause) {
    Problem made = failure(context.voice, status, behaviour.error_code);
    if (!behaviour.error_message.empty()) made.message = behaviour.error_message;
    Reply reply = problem(context, made, cause);
    if (!behaviour.error_body.empty()) reply.body = behaviour.error_body;
    const std::string_view wait = behaviour.retry_after;
    if (wait.ends_with("ms")) {
      put(reply.headers, "retry-after-ms: ", wait.substr(0, wait.size() - 2), "\r\n");
    } else if (!wait.empty()) {
      put(reply.headers, "retry-after: ", wait, "\r\n");
    }
    return reply;
  };
  const bool bounded = behaviour.fault_count != std::numeric_limits<std::uint64_t>::max();
  if (behaviour.fail_first || bounded) {
    const std::uint64_t index = ledger_.next_of_scenario("x" + behaviour.scenario);
    if (index >= behaviour.fault_count) behaviour.faults = {};
    if (behaviour.fail_first && index < behaviour.fail_first->count)
      return fail(behaviour.fail_first->status, Cause::fail_first);
  }
  if (behaviour.faults.status != 0) return fail(behaviour.faults.status, Cause::scripted);
  if (!is_inference(context.request.target.route)) return std::nullopt;
  if (options_.fail_first.count > 0 && ledger_.next_request() < options_.fail_first.count) {
    return fail(options_.fail_first.status, Cause::fail_first);
  }
  const FailRate& rate = behaviour.fail_rate;
  if (rate.probability > 0 && ledger_.roll(rate.probability)) return fail(rate.status, Cause::fail_rate);
  return std::nullopt;
}

AnswerParts Responder::parts_of(const Context& context, const ModelRequest& request) {
  Output output(request, context.behaviour, options_.dialect);
  const Route route = context.request.target.route;
  const bool has_choices = route == Route::chat || route == Route::completions;
  AnswerParts parts{mint(),
                    unix_time(),
                    escaped(request.model),
                    options_.dialect,
                    has_choices ? request.n : 1,
                    request.usage,
                    {},
                    {},
                    escaped(request.previous_response_id),
                    std::move(output)};
  if (request.calls_tool) {
    parts.tool_name = escaped(request.tool_name);
    parts.tool_arguments = request.tool_arguments;
  }
  return parts;
}

Reply Responder::inference(Context& context) {
  const Route route = context.request.target.route;
  auto read = reader_.read(context.request.body, route);
  if (const auto* fault = std::get_if<BodyFault>(&read)) {
    return problem(context, bad_body(context.voice, fault->message, fault->param), Cause::bad_body);
  }
  const ModelRequest& request = std::get<ModelRequest>(read);
  if (const auto fault = stream_option_fault(request, options_.stream_usage))
    return problem(context, bad_body(context.voice, fault->message, fault->param), Cause::bad_body);
  if (request.model.starts_with("no-such"))
    return problem(context, unknown_model(context.voice, request.model), Cause::unknown_model);
  if (!request.previous_response_id.empty() && !stores_.responses.has(request.previous_response_id)) {
    return problem(context, unknown_previous_response(context.voice, request.previous_response_id), Cause::bad_body);
  }
  if (route == Route::count_tokens) return json(context, join(R"({"input_tokens":)", request.prompt_tokens, "}"));

  AnswerParts parts = parts_of(context, request);
  const bool embeds = route == Route::embeddings;
  const Claim claim = embeds ? Claim{request.prompt_tokens, 0, 1, 1} : claim_of(request, parts.output, options_);
  Admission admission = ledger_.admit(claim);
  if (!admission.permit) {
    const Problem refusal = over_limit(context.voice, admission.verdict, request.model);
    Reply reply = json(context, problem_body(context.voice, refusal, context.request_id));
    reply.status = refusal.status;
    reply.headers += wait_headers(context.voice, refusal);
    reply.headers += limit_headers(context.voice, admission.requests, admission.tokens);
    return reply;
  }

  Reply reply = json(context, {});
  reply.headers += limit_headers(context.voice, admission.requests, admission.tokens);
  reply.permit = std::move(admission.permit);
  reply.delayed = true;
  reply.problem_in_stream = failure(context.voice, 500, context.behaviour.error_code);
  if (context.behaviour.faults.error_in_200 && (embeds || !request.stream)) {
    reply.body = problem_body(context.voice, *reply.problem_in_stream, context.request_id);
    return reply;
  }
  switch (route) {
    case Route::embeddings:
      reply.body = write_embeddings(request);
      return reply;
    case Route::completions:
      reply.answer = make_completion_answer(std::move(parts));
      break;
    case Route::responses:
      reply.answer = make_responses_answer(std::move(parts));
      break;
    case Route::messages:
      reply.answer = make_messages_answer(std::move(parts));
      break;
    default:
      reply.answer = make_chat_answer(std::move(parts));
      break;
  }
  reply.stores_response = route == Route::responses && request.store;
  reply.stream = request.stream;
  if (request.stream) reply.content_type = "text/event-stream; charset=utf-8";
  return reply;
}

void Responder::store_response(const Answer& answer, std::string json) {
  const std::size_t bytes = json.size();
  stores_.responses.put("resp_" + answer.parts().id, std::move(json), bytes);
}

// Models, stored responses, the balance.
Reply Responder::look_up(Context& context) {
  const Request& request = context.request;
  const std::string& id = request.target.id;
  const bool get = reads(request.head);
  switch (request.target.route) {
    case Route::models: {
      if (!get) break;
      std::string list = R"({"object":"list","data":[)";
      for (const std::string_view model : models) put(list, list.back() == '[' ? "" : ",", model_json(model));
      return json(context, list + "]}");
    }
    case Route::model:
      if (!get) break;
      if (id.starts_with("no-such")) return problem(context, unknown_model(context.voice, id), Cause::unknown_model);
      return json(context, model_json(id));
    case Route::balance:
      if (!get) break;
      return json(context, R"({"is_available":true,"balance_infos":[{"currency":"CNY","total_balance":"110.00",)"
                           R"("granted_balance":"10.00","topped_up_balance":"100.00"}]})");
    case Route::response: {
      if (request.head.method == "DELETE" && stores_.responses.erase(id)) {
        return json(context, join(R"({"id":)", json_quote(id), R"(,"object":"response","deleted":true})"));
      }
      if (const auto stored = get ? stores_.responses.get(id) : std::nullopt) return json(context, *stored);
      return problem(context, not_found(context.voice, "Response", id), Cause::other);
    }
    default:
      break;
  }
  return problem(context, unknown_path(context.voice, request.head.method, request.head.target), Cause::other);
}

Reply Responder::files(Context& context) {
  Request& request = context.request;
  const std::string& id = request.target.id;
  const bool get = reads(request.head);
  if (request.upload) {
    StoredFile stored{request.upload->finish(), unix_time()};
    if (!stored.file.well_formed)
      return problem(context, bad_body(context.voice, "The multipart body is not complete.", "file"), Cause::bad_body);
    const std::string new_id = "file-" + mint();
    std::string body = file_json(new_id, stored);
    const std::size_t bytes = stored.file.content.size();
    stores_.files.put(new_id, std::move(stored), bytes);
    return json(context, std::move(body));
  }
  if (request.target.route == Route::files && get) {
    std::string list = R"({"object":"list","data":[)";
    for (const std::string& known : stores_.files.ids()) {
      if (const auto stored = stores_.files.get(known))
        put(list, list.back() == '[' ? "" : ",", file_json(known, *stored));
    }
    return json(context, list + R"(],"has_more":false})");
  }
  // A file of any size, made up: file-sim-1000000.
  constexpr std::string_view made_up = "file-sim-";
  if (request.target.route == Route::file_content && get && id.starts_with(made_up)) {
    Reply reply = json(context, {});
    reply.content_type = "application/octet-stream";
    reply.pattern_bytes = parse_count(std::string_view(id).substr(made_up.size())).value_or(0);
    return reply;
  }
  if (request.target.route == Route::file && request.head.method == "DELETE" && stores_.files.erase(id)) {
    return json(context, join(R"({"id":)", json_quote(id), R"(,"object":"file","deleted":true})"));
  }
  const auto stored = get && !id.empty() ? stores_.files.get(id) : std::nullopt;
  if (!stored) {
    if (id.empty())
      return problem(context, unknown_path(context.voice, request.head.method, request.head.target), Cause::other);
    return problem(context, not_found(context.voice, "File", id), Cause::other);
  }
  if (request.target.route == Route::file) return json(context, file_json(id, *stored));
  if (stored->file.content.size() < stored->file.bytes) {
    return problem(context,
                   not_found(context.voice, "The simulated provider keeps small files only: content of the file", id),
                   Cause::other);
  }
  Reply reply = json(context, stored->file.content);
  reply.content_type = "application/octet-stream";
  return reply;
}

Reply Responder::problem(const Context& context, const Problem& what, Cause cause) {
  ledger_.refused(cause);
  Reply reply = json(context, problem_body(context.voice, what, context.request_id));
  reply.status = what.status;
  return reply;
}

Reply Responder::json(const Context& context, std::string body) {
  Reply reply;
  reply.body = std::move(body);
  reply.behaviour = context.behaviour;
  switch (context.voice) {
    case Voice::anthropic:
      put(reply.headers, "request-id: ", context.request_id, "\r\n");
      break;
    case Voice::deepseek:
      put(reply.headers, "x-ds-trace-id: ", context.request_id, "\r\n");
      break;
    case Voice::openai:
      reply.headers += "openai-organization: org-simulated\r\nopenai-version: 2020-10-01\r\n";
      [[fallthrough]];
    case Voice::ark:
      put(reply.headers, "x-request-id: ", context.request_id, "\r\n");
      break;
  }
  return reply;
}

}  // namespace weir::simulator
