#include "simulator/refusal.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "protocol/error_body.hpp"
#include "simulator/text.hpp"

namespace weir::simulator {
namespace {

using protocol::json_quote;

// What a status says when nobody says more.
struct Words {
  int status;
  std::string_view type, code, message;
};

constexpr std::array openai_words{
    Words{400, "invalid_request_error", "", "The request is not valid."},
    Words{401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
    Words{403, "invalid_request_error", "unsupported_country_region_territory", "This is not allowed."},
    Words{404, "invalid_request_error", "", "There is nothing here."},
    Words{429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
    Words{500, "server_error", "", "The server had an error while processing your request."},
    Words{503, "service_unavailable_error", "server_is_overloaded",
          "The engine is currently overloaded, please try again later."},
    Words{0, "api_error", "", "A scripted failure."},
};
constexpr std::array ark_words{
    Words{400, "BadRequest", "InvalidParameter", "One or more parameters are not valid."},
    Words{401, "Unauthorized", "AuthenticationError", "The API key in the request is missing or invalid."},
    Words{403, "Forbidden", "AccessDenied", "The request failed because you do not have access."},
    Words{404, "NotFound", "InvalidEndpointOrModel.NotFound", "The model or endpoint does not exist."},
    Words{429, "TooManyRequests", "ServerOverloaded", "The service is currently unable to handle additional requests."},
    Words{500, "InternalServerError", "InternalServiceError", "The service encountered an unexpected internal error."},
    Words{0, "InternalServerError", "InternalServiceError", "A scripted failure."},
};
constexpr std::array deepseek_words{
    Words{400, "invalid_request_error", "invalid_request_error", "Invalid request."},
    Words{401, "authentication_error", "invalid_request_error", "Authentication Fails."},
    Words{402, "unknown_error", "invalid_request_error", "Insufficient Balance"},
    Words{422, "invalid_request_error", "invalid_request_error", "Invalid parameter."},
    Words{429, "rate_limit_error", "rate_limit_error", "You are sending requests too quickly."},
    Words{503, "service_unavailable_error", "service_unavailable_error", "Service is too busy."},
    Words{0, "server_error", "server_error", "A scripted failure."},
};
constexpr std::array anthropic_words{
    Words{400, "invalid_request_error", "", "The request is not valid."},
    Words{401, "authentication_error", "", "invalid x-api-key"},
    Words{402, "billing_error", "", "Your payment method was declined."},
    Words{403, "permission_error", "", "Your API key does not have permission."},
    Words{404, "not_found_error", "", "There is nothing here."},
    Words{413, "request_too_large", "", "The request is larger than allowed."},
    Words{429, "rate_limit_error", "", "This request would exceed your rate limit."},
    Words{504, "timeout_error", "", "The request timed out."},
    Words{529, "overloaded_error", "", "Overloaded"},
    Words{0, "api_error", "", "A scripted failure."},
};

template <std::size_t Size>
const Words& find_words(const std::array<Words, Size>& table, int status) {
  for (const Words& words : table) {
    if (words.status == status) return words;
  }
  return table.back();
}

const Words& words_for(Voice voice, int status) {
  switch (voice) {
    case Voice::openai:
      return find_words(openai_words, status);
    case Voice::ark:
      return find_words(ark_words, status);
    case Voice::deepseek:
      return find_words(deepseek_words, status);
    case Voice::anthropic:
      break;
  }
  return find_words(anthropic_words, status);
}

Problem worded(Voice voice, int status, std::string message = {}, std::string_view param = {}) {
  const Words& words = words_for(voice, status);
  Problem problem{status, std::string(words.type), std::string(words.code), std::move(message), std::string(param), {}};
  if (problem.message.empty()) problem.message = words.message;
  return problem;
}

std::string seconds_text(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(duration.count()) / 1e9);
  return text;
}

std::int64_t whole_seconds(Duration duration) {  // up, and never 0: clients ignore that
  return std::max<std::int64_t>(1, (duration.count() + 999'999'999) / 1'000'000'000);
}

std::string rfc3339(Duration from_now) {
  const auto instant =
      std::chrono::system_clock::now() + std::chrono::duration_cast<std::chrono::system_clock::duration>(from_now);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(instant);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::string_view meter_name(Verdict::Refusal refusal) {
  if (refusal == Verdict::Refusal::requests) return "requests per min (RPM)";
  if (refusal == Verdict::Refusal::tokens) return "tokens per min (TPM)";
  return "concurrent requests";
}

}  // namespace

Voice voice_of(Dialect dialect) {
  if (dialect == Dialect::ark) return Voice::ark;
  return dialect == Dialect::deepseek ? Voice::deepseek : Voice::openai;
}

Problem bad_body(Voice voice, std::string_view message, std::string_view param) {
  return worded(voice, 400, std::string(message), param);
}

Problem bad_key(Voice voice, std::string_view key) {
  const std::string_view tail = key.substr(key.size() - std::min<std::size_t>(key.size(), 4));
  if (voice == Voice::openai) return worded(voice, 401, join("Incorrect API key provided: ****", tail, "."));
  if (voice == Voice::deepseek)
    return worded(voice, 401, join("Authentication Fails, Your api key: ****", tail, " is invalid"));
  return worded(voice, 401);
}

Problem unknown_model(Voice voice, std::string_view model) {
  Problem problem = worded(voice, 404, join("The model `", model, "` does not exist or you do not have access to it."));
  if (voice == Voice::anthropic) problem.message = join("model: ", model);
  if (voice == Voice::openai || voice == Voice::deepseek) problem.code = "model_not_found";
  return problem;
}

Problem unknown_path(Voice voice, std::string_view method, std::string_view path) {
  return worded(voice, 404, join("Invalid URL (", method, " ", path, ")"));
}

Problem not_found(Voice voice, std::string_view what, std::string_view id) {
  return worded(voice, 404, join(what, " with id '", id, "' not found."), "id");
}

Problem unknown_previous_response(Voice voice, std::string_view id) {
  Problem problem = worded(voice, 400, join("Previous response with id '", id, "' not found."), "previous_response_id");
  problem.code = "previous_response_not_found";
  return problem;
}

Problem body_too_large(Voice voice) {
  return worded(voice, 413, "The request is larger than the simulated provider allows.");
}

Problem over_limit(Voice voice, const Verdict& verdict, std::string_view model) {
  Problem problem = worded(voice, 429);
  problem.wait = verdict.wait;
  const bool requests = verdict.refusal == Verdict::Refusal::requests;
  const bool tokens = verdict.refusal == Verdict::Refusal::tokens;
  problem.message =
      join("Rate limit reached for ", model, " in organization org-simulated on ", meter_name(verdict.refusal),
           ": Limit ", verdict.limit, ", Used ", verdict.used, ", Requested ", verdict.requested, ".");
  switch (voice) {
    case Voice::openai:
      problem.type = tokens ? "tokens" : "requests";
      if (verdict.wait) problem.message += join(" Please try again in ", seconds_text(*verdict.wait), "s.");
      break;
    case Voice::ark:
      problem.code = requests ? "ModelAccountRpmRateLimitExceeded"
                     : tokens ? "ModelAccountTpmRateLimitExceeded"
                              : "InflightBatchsizeExceeded";
      break;
    case Voice::deepseek:
      problem.message =
          "Rate limit reached: " +
          std::string(requests || tokens ? "you are sending requests too quickly" : "too many concurrent requests") +
          ".";
      break;
    case Voice::anthropic:
      problem.message = join("This request would exceed your organization's rate limit of ", verdict.limit, " ",
                             meter_name(verdict.refusal), ".");
      break;
  }
  return problem;
}

Problem failure(Voice voice, int status, std::string_view code) {
  Problem problem = worded(voice, status);
  if (code.empty()) return problem;
  const std::size_t slash = code.find('/');
  if (slash != std::string_view::npos) {
    problem.type = code.substr(0, slash);
    code.remove_prefix(slash + 1);
  }
  problem.code = code;
  return problem;
}

std::string problem_object(const Problem& problem) {
  return join(R"({"message":)", json_quote(problem.message), R"(,"type":)", json_quote(problem.type), R"(,"param":)",
              problem.param.empty() ? "null" : json_quote(problem.param), R"(,"code":)",
              problem.code.empty() ? "null" : json_quote(problem.code), "}");
}

std::string problem_body(Voice voice, const Problem& problem, std::string_view request_id) {
  switch (voice) {
    case Voice::openai:
    case Voice::deepseek:
      return join(R"({"error":)", problem_object(problem), "}");
    case Voice::ark:
      return join(R"({"error":{"code":)", json_quote(problem.code), R"(,"message":)",
                  json_quote(join(problem.message, " Request id: ", request_id)), R"(,"param":)",
                  json_quote(problem.param), R"(,"type":)", json_quote(problem.type), "}}");
    case Voice::anthropic:
      break;
  }
  // `details` is where Anthropic explains a refusal that no waiting ends.
  return join(R"({"type":"error","error":{"type":)", json_quote(problem.type), R"(,"message":)",
              json_quote(problem.message),
              problem.code.empty() ? "" : join(R"(,"details":{"error_code":)", json_quote(problem.code), "}"),
              R"(},"request_id":)", json_quote(request_id), "}");
}

std::string wait_headers(Voice voice, const Problem& problem) {
  if (!problem.wait) return {};
  std::string seconds = join("retry-after: ", whole_seconds(*problem.wait), "\r\n");
  switch (voice) {
    case Voice::openai:
      return join("retry-after-ms: ", (problem.wait->count() + 999'999) / 1'000'000, "\r\n", seconds);
    case Voice::ark:
    case Voice::anthropic:
      return seconds;
    case Voice::deepseek:
      break;
  }
  return {};
}

std::string limit_headers(Voice voice, const MeterView& requests, const MeterView& tokens) {
  std::string out;
  const auto add = [&](std::string_view kind, const MeterView& meter) {
    if (meter.limit == 0) return;
    if (voice == Voice::openai) {
      put(out, "x-ratelimit-limit-", kind, ": ", meter.limit, "\r\nx-ratelimit-remaining-", kind, ": ", meter.remaining,
          "\r\nx-ratelimit-reset-", kind, ": ", go_duration(meter.reset), "\r\n");
    } else {
      put(out, "anthropic-ratelimit-", kind, "-limit: ", meter.limit, "\r\nanthropic-ratelimit-", kind,
          "-remaining: ", meter.remaining, "\r\nanthropic-ratelimit-", kind, "-reset: ", rfc3339(meter.reset), "\r\n");
    }
  };
  if (voice != Voice::openai && voice != Voice::anthropic) return out;
  add("requests", requests);
  add("tokens", tokens);
  return out;
}

std::string go_duration(Duration duration) {
  std::int64_t ms = (duration.count() + 999'999) / 1'000'000;
  if (ms < 1000) return join(ms, "ms");
  std::string out;
  if (ms >= 3'600'000) put(out, ms / 3'600'000, "h");
  if (ms >= 60'000) put(out, ms / 60'000 % 60, "m");
  ms %= 60'000;
  put(out, ms / 1000);
  if (ms % 1000 > 0) {
    char fraction[8];
    std::snprintf(fraction, sizeof fraction, ".%03d", static_cast<int>(ms % 1000));
    std::string_view digits = fraction;
    while (digits.ends_with('0')) digits.remove_suffix(1);
    out += digits;
  }
  return out + "s";
}

}  // namespace weir::simulator
