// Errors as providers word them: one value, four voices. A voice decides the shape of the body, the codes, and which
// hints about waiting a caller gets (providers.md §0.3, §1.3, §3, §7.3, §8.3). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "simulator/limits.hpp"
#include "simulator/options.hpp"

namespace weir::simulator {

enum class Voice { openai, ark, deepseek, anthropic };
Voice voice_of(Dialect dialect);

struct Problem {
  int status = 500;
  std::string type;
  std::string code;  // empty: null
  std::string message;
  std::string param;             // empty: null
  std::optional<Duration> wait;  // the voice decides whether it tells
};

// Why the simulated provider says no by itself.
Problem bad_body(Voice voice, std::string_view message, std::string_view param);
Problem bad_key(Voice voice, std::string_view key);
Problem unknown_model(Voice voice, std::string_view model);
Problem unknown_path(Voice voice, std::string_view method, std::string_view path);
Problem not_found(Voice voice, std::string_view what, std::string_view id);  // "Response", "File"
Problem unknown_previous_response(Voice voice, std::string_view id);
Problem body_too_large(Voice voice);
Problem over_limit(Voice voice, const Verdict& verdict, std::string_view model);
// A scripted failure. `code`: what to say instead of the status's own; "type/code" names both.
Problem failure(Voice voice, int status, std::string_view code);

std::string problem_body(Voice voice, const Problem& problem, std::string_view request_id);
// {"message":…,"type":…,"param":…,"code":…}
std::string problem_object(const Problem& problem);
// Header lines with the wait: retry-after-ms, retry-after.
std::string wait_headers(Voice voice, const Problem& problem);

// The x-ratelimit (openai) or anthropic-ratelimit lines of an answer; other voices have none.
std::string limit_headers(Voice voice, const MeterView& requests, const MeterView& tokens);

// "12ms", "7.66s", "6m0s", "1h0m0s": Go's way, as OpenAI writes resets.
std::string go_duration(Duration duration);

}  // namespace weir::simulator
