// What an upstream's error means, as the shipped provider files say: every row of the tables by which providers
// document their errors, as the bytes that come, through the reader of error bodies and the rules of the account.
#include <gtest/gtest.h>

#include "app/config_support.hpp"
#include "protocol/error_body.hpp"
#include "proxy/cause.hpp"

namespace weir::app {
namespace {

using proxy::Cause;

struct ErrorRow {
  const char* name;
  const char* provider;
  int status;
  const char* body;
  Cause cause;
  std::vector<net::Field> headers = {};
  const char* meter = "";
  bool of_model = false;
};

std::ostream& operator<<(std::ostream& out, const ErrorRow& row) {
  return out << row.provider << ' ' << row.status << ' ' << row.body;
}

std::vector<proxy::ErrorRule> rules_of(const std::string& provider) {
  return first_upstream(load(with_config("upstreams: [{name: a, provider: " + provider +
                                         ", base_url: \"http://127.0.0.1:9/v1\"}]\n")))
      .error_rules;
}

proxy::Diagnosis diagnose(int status, std::string_view body, const std::vector<net::Field>& headers,
                          const std::vector<proxy::ErrorRule>& rules) {
  net::ResponseHead head;
  head.status = status;
  head.fields = headers;
  return proxy::diagnose(status, head, protocol::read_error_body(body), rules, std::chrono::system_clock::now());
}

class ProviderError : public ::testing::TestWithParam<ErrorRow> {};

TEST_P(ProviderError, MeansWhatItsProviderSays) {
  const ErrorRow& row = GetParam();
  const auto rules = rules_of(row.provider);
  const auto diagnosis = diagnose(row.status, row.body, row.headers, rules);
  EXPECT_EQ(proxy::name_of(diagnosis.cause), proxy::name_of(row.cause));
  EXPECT_EQ(diagnosis.meter, row.meter);
  EXPECT_EQ(diagnosis.of_model, row.of_model);
}

std::string name_of_row(const ::testing::TestParamInfo<ErrorRow>& info) {
  return info.param.name;
}

#define OPENAI_ERROR(type, code) R"({"error":{"message":"m","type":")" type R"(","param":null,"code":")" code R"("}})"

#define GEMINI(quota)                                                                                                 \
  R"([{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. )" \
  R"(Please retry in 1.5s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.)"      \
  R"(QuotaFailure","violations":[{"quotaMetric":"generativelanguage.googleapis.com/generate_content_free_tier_)"      \
  R"(requests","quotaId":")" quota                                                                                    \
  R"("}]},{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo",)"      \
  R"("retryDelay":"1s"}]}}])"

// What a status means wherever it comes from.
const ErrorRow by_status[] = {
    {"BadRequest", "generic", 400, OPENAI_ERROR("invalid_request_error", "x"), Cause::caller},
    {"BadKey", "generic", 401, OPENAI_ERROR("invalid_request_error", "invalid_api_key"), Cause::caller},
    {"Forbidden", "generic", 403, "{}", Cause::caller},
    {"NotFound", "generic", 404, OPENAI_ERROR("invalid_request_error", "model_not_found"), Cause::caller},
    {"TooLarge", "generic", 413, "<html>413</html>", Cause::caller},
    {"Unprocessable", "generic", 422, R"({"detail":[{"msg":"field required"}]})", Cause::caller},
    {"NoMoney", "generic", 402, "{}", Cause::quota},
    {"OutOfBalance", "deepseek", 402, OPENAI_ERROR("unknown_error", "invalid_request_error"), Cause::quota},
    {"OpenRouterHasNoCredits", "openrouter", 402, R"({"error":{"code":402,"message":"credits"}})", Cause::quota},
    {"OpenRouterHasItsInFlightBudgetFull",
     "openrouter",
     402,
     R"({"error":{"code":402,"message":"m","metadata":{"limit_source":"openrouter_in_flight_budget"}}})",
     Cause::concurrency,
     {{"Retry-After", "3"}}},
    {"RequestTimeout", "generic", 408, "", Cause::fault},
    {"Conflict", "generic", 409, "", Cause::fault},
    {"RateLimitExceeded",
     "openai",
     429,
     OPENAI_ERROR("rate_limit_error", "rate_limit_exceeded"),
     Cause::minute_budget,
     {},
     "",
     true},
    {"GroqsDayOfOneModel",
     "generic",
     429,
     OPENAI_ERROR("tokens", "rate_limit_exceeded"),
     Cause::minute_budget,
     {},
     "",
     true},
    {"RateLimitExceededOfRequests",
     "openai",
     429,
     OPENAI_ERROR("requests", "rate_limit_exceeded"),
     Cause::minute_budget,
     {},
     "rpm",
     true},
    {"RateLimitExceededOfTokens",
     "openai",
     429,
     OPENAI_ERROR("tokens", "rate_limit_exceeded"),
     Cause::minute_budget,
     {},
     "tpm",
     true},
    {"SlowDown", "openai", 429, OPENAI_ERROR("rate_limit_error", "slow_down"), Cause::ramp},
    {"SlowDownOfOlderEndpoints", "openai", 503, OPENAI_ERROR("rate_limit_error", "slow_down"), Cause::ramp},
    {"TokensInWords", "generic", 429, R"({"error":{"message":"Rate limit reached on tokens per min: Limit 10"}})",
     Cause::minute_budget},
    {"RequestsInWords", "generic", 429, R"({"error":{"message":"Too many requests per min"}})", Cause::minute_budget},
    {"InsufficientQuota", "openai", 429, OPENAI_ERROR("insufficient_quota", "insufficient_quota"), Cause::quota},
    {"InsufficientQuotaByTypeOnly", "generic", 429, R"({"error":{"message":"m","type":"insufficient_quota"}})",
     Cause::quota},
    {"CreditBalanceExhausted", "openai", 429, OPENAI_ERROR("insufficient_quota", "credit_balance_exhausted"),
     Cause::quota},
    {"CreditBalanceExhaustedByCodeOnly", "openai", 429, OPENAI_ERROR("x", "credit_balance_exhausted"), Cause::quota},
    {"OrganizationSpendLimit", "openai", 429, OPENAI_ERROR("x", "organization_spend_limit_exceeded"), Cause::quota},
    {"ProjectSpendLimit", "openai", 429, OPENAI_ERROR("x", "project_spend_limit_exceeded"), Cause::quota},
    {"OrganizationUsageLimit", "openai", 429, OPENAI_ERROR("x", "organization_usage_limit_exceeded"), Cause::quota},
    {"MoneyBehindAnUnknownServer", "generic", 429, OPENAI_ERROR("x", "organization_spend_limit_exceeded"),
     Cause::quota},
    {"AnthropicSpendLimit", "anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}})",
     Cause::quota},
    {"AnthropicRateLimit",
     "anthropic",
     429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"m"}})",
     Cause::minute_budget,
     {{"retry-after", "12"}},
     "",
     true},
    {"AnthropicAcceleration", "anthropic", 429,
     R"({"type":"error","error":{"type":"rate_limit_error","message":"You hit an acceleration limit"}})", Cause::ramp},
    {"MoonshotQuota", "generic", 429, R"({"error":{"message":"m","type":"exceeded_current_quota_error"}})",
     Cause::quota},
    {"MoonshotRateLimit", "generic", 429, R"({"error":{"message":"m","type":"rate_limit_reached_error"}})",
     Cause::minute_budget},
    {"MoonshotConcurrency",
     "generic",
     429,
     R"({"error":{"message":"Your account reached max concurrency: 3","type":"rate_limit_reached_error"}})",
     Cause::concurrency,
     {},
     "concurrency"},
    {"ZhipuArrears", "generic", 429, R"({"error":{"code":"1113","message":"m"}})", Cause::quota},
    {"ZhipuUsedUp", "generic", 429, R"({"error":{"code":"1308","message":"m"}})", Cause::quota},
    {"ZhipuAtOnce",
     "generic",
     429,
     R"({"error":{"code":"1302","message":"m"}})",
     Cause::concurrency,
     {},
     "concurrency",
     true},
    {"ZhipuTooOften", "generic", 429, R"({"error":{"code":"1303","message":"m"}})", Cause::minute_budget},
    {"ZhipuOverload", "generic", 429, R"({"error":{"code":"1305","message":"m"}})", Cause::overload},
    {"GeminisMinute",
     "generic",
     429,
     GEMINI("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
     Cause::minute_budget,
     {},
     "",
     true},
    {"GeminisDay",
     "generic",
     429,
     GEMINI("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
     Cause::quota,
     {},
     "",
     true},
    {"GeminiWithoutAnId",
     "generic",
     429,
     R"([{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 1.5s."}}])",
     Cause::minute_budget,
     {},
     "",
     true},
    {"MoonshotOverload", "generic", 429, R"({"error":{"message":"m","type":"engine_overloaded_error"}})",
     Cause::overload},
    {"ServerFault", "generic", 500, "", Cause::fault},
    {"BadGateway", "generic", 502, "<html>502</html>", Cause::fault},
    {"GatewayTimeout", "generic", 504, "", Cause::fault},
    {"OpenAiUnavailable", "openai", 503, OPENAI_ERROR("service_unavailable_error", "x"), Cause::overload},
    {"OpenAiOverloaded", "openai", 503, OPENAI_ERROR("x", "server_is_overloaded"), Cause::overload},
    {"MistralsMonthIsUsedUp",
     "generic",
     429,
     R"({"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"})",
     Cause::quota,
     {{"x-ratelimitbysize-remaining-month", "0"}, {"ratelimitbysize-reset", "31"}},
     "",
     true},
    {"MistralsMonthIsNotUsedUp",
     "generic",
     429,
     R"({"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"})",
     Cause::minute_budget,
     {{"x-ratelimit-remaining-tokens-month", "12"}}},
    {"AFullServerWhateverTheMonth",
     "generic",
     503,
     "{}",
     Cause::overload,
     {{"x-ratelimit-remaining-tokens-month", "0"}}},
    {"FireworksWithoutAPaidPlan", "fireworks", 402, "{}", Cause::quota},
    {"FireworksAccountSuspended", "fireworks", 412, R"({"error":{"message":"Account x is suspended"}})", Cause::quota},
    {"FireworksModelThatDoesNotLoad", "fireworks", 412, R"({"error":{"message":"LoRA failed"}})", Cause::caller},
    {"FireworksRateLimit", "fireworks", 429, "{}", Cause::minute_budget, {}, "", true},
    {"FireworksOverloaded", "fireworks", 503, "{}", Cause::overload},
    {"TogetherBelowItsLimit", "generic", 503, R"({"error":{"message":"busy"}})", Cause::overload},
    {"AnthropicOverloaded", "anthropic", 529, R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})",
     Cause::overload},
    {"OverloadedBehindAnUnknownServer", "generic", 529, "", Cause::overload},
};
INSTANTIATE_TEST_SUITE_P(ByStatus, ProviderError, ::testing::ValuesIn(by_status), name_of_row);

// Errors inside a 200, whole or as an event: a status that stands in them counts as theirs.
const ErrorRow inside_a_200[] = {
    {"NoCredits", "openrouter", 200, R"({"error":{"code":402,"message":"Insufficient credits"}})", Cause::quota},
    {"BadRequest", "vllm", 200, R"({"error":{"code":400,"type":"BadRequestError","message":"bad"}})", Cause::caller},
    {"BadRequestFlat", "generic", 200, R"({"object":"error","message":"bad","type":"BadRequestError","code":400})",
     Cause::caller},
    {"TooOften", "openrouter", 200, R"({"error":{"code":429,"message":"m"}})", Cause::minute_budget},
    {"ServerFault", "generic", 200, R"({"error":{"code":500,"message":"m"}})", Cause::fault},
    {"NoStatus", "generic", 200, R"({"error":{"code":"1234","message":"m"}})", Cause::fault},
    {"MoneyInWords", "generic", 200, R"({"error":{"message":"You exceeded your current quota"}})", Cause::quota},
};
INSTANTIATE_TEST_SUITE_P(InsideA200, ProviderError, ::testing::ValuesIn(inside_a_200), name_of_row);

const ErrorRow of_deepseek[] = {
    {"BadBody", "deepseek", 400, OPENAI_ERROR("invalid_request_error", "invalid_request_error"), Cause::caller},
    {"BadKey", "deepseek", 401, OPENAI_ERROR("authentication_error", "invalid_request_error"), Cause::caller},
    {"NoBalance", "deepseek", 402, R"({"error":{"message":"Insufficient Balance"}})", Cause::quota},
    {"BadParameter", "deepseek", 422, OPENAI_ERROR("invalid_request_error", "invalid_request_error"), Cause::caller},
    {"TooFast",
     "deepseek",
     429,
     R"({"error":{"message":"Rate limit reached"}})",
     Cause::concurrency,
     {},
     "concurrency",
     true},
    {"TooManyAtOnce",
     "deepseek",
     429,
     R"({"error":{"message":"concurrency: current 500, allowed 500"}})",
     Cause::concurrency,
     {},
     "concurrency",
     true},
    {"ServerFault", "deepseek", 500, "", Cause::fault},
    {"Busy", "deepseek", 503, R"({"error":{"message":"Service is too busy"}})", Cause::overload},
};
INSTANTIATE_TEST_SUITE_P(OfDeepSeek, ProviderError, ::testing::ValuesIn(of_deepseek), name_of_row);

#define ARK_ERROR(code) \
  R"({"error":{"code":")" code R"(","message":"m Request id: 021","param":"","type":"TooManyRequests"}})"

const ErrorRow of_ark[] = {
    {"EndpointRpm",
     "volcengine-ark",
     429,
     ARK_ERROR("RateLimitExceeded.EndpointRPMExceeded"),
     Cause::minute_budget,
     {},
     "rpm",
     true},
    {"EndpointTpm",
     "volcengine-ark",
     429,
     ARK_ERROR("RateLimitExceeded.EndpointTPMExceeded"),
     Cause::minute_budget,
     {},
     "tpm",
     true},
    {"EndpointOther", "volcengine-ark", 429, ARK_ERROR("RateLimitExceeded.Somehow"), Cause::minute_budget},
    {"ModelAccountRpm",
     "volcengine-ark",
     429,
     ARK_ERROR("ModelAccountRpmRateLimitExceeded"),
     Cause::minute_budget,
     {},
     "rpm",
     true},
    {"ModelAccountTpm",
     "volcengine-ark",
     429,
     ARK_ERROR("ModelAccountTpmRateLimitExceeded"),
     Cause::minute_budget,
     {},
     "tpm",
     true},
    {"ModelAccountIpm",
     "volcengine-ark",
     429,
     ARK_ERROR("ModelAccountIpmRateLimitExceeded"),
     Cause::minute_budget,
     {},
     "",
     true},
    {"ApiAccountRpm",
     "volcengine-ark",
     429,
     ARK_ERROR("APIAccountRpmRateLimitExceeded"),
     Cause::minute_budget,
     {},
     "rpm"},
    {"Account", "volcengine-ark", 429, ARK_ERROR("AccountRateLimitExceeded"), Cause::minute_budget},
    {"OtherRpm", "volcengine-ark", 429, ARK_ERROR("SomeRpmRateLimitExceeded"), Cause::minute_budget, {}, "rpm"},
    {"OtherTpm", "volcengine-ark", 429, ARK_ERROR("SomeTpmRateLimitExceeded"), Cause::minute_budget, {}, "tpm"},
    {"ServerOverloaded", "volcengine-ark", 429, ARK_ERROR("ServerOverloaded"), Cause::overload},
    {"RequestBurstTooFast", "volcengine-ark", 429, ARK_ERROR("RequestBurstTooFast"), Cause::ramp},
    {"InflightBatchsize",
     "volcengine-ark",
     429,
     ARK_ERROR("InflightBatchsizeExceeded"),
     Cause::concurrency,
     {},
     "concurrency"},
    {"QuotaExceeded", "volcengine-ark", 429, ARK_ERROR("QuotaExceeded"), Cause::quota},
    {"SetLimitExceeded", "volcengine-ark", 429, ARK_ERROR("SetLimitExceeded"), Cause::quota},
    {"AccountOverdue", "volcengine-ark", 403, ARK_ERROR("AccountOverdueError"), Cause::quota},
    {"AccessDenied", "volcengine-ark", 403, ARK_ERROR("AccessDenied"), Cause::caller},
    {"OperationDenied", "volcengine-ark", 403, ARK_ERROR("OperationDenied.ServiceNotOpen"), Cause::caller},
    {"EndpointNotFound", "volcengine-ark", 404, ARK_ERROR("InvalidEndpointOrModel.NotFound"), Cause::caller},
    {"ModelNotOpen", "volcengine-ark", 404, ARK_ERROR("ModelNotOpen"), Cause::caller},
    {"MissingParameter", "volcengine-ark", 400, ARK_ERROR("MissingParameter"), Cause::caller},
    {"InvalidParameter", "volcengine-ark", 400, ARK_ERROR("InvalidParameter"), Cause::caller},
    {"ClosedEndpoint", "volcengine-ark", 400, ARK_ERROR("InvalidEndpoint.ClosedEndpoint"), Cause::caller},
    {"SensitiveInput", "volcengine-ark", 400, ARK_ERROR("InputTextSensitiveContentDetected"), Cause::caller},
    {"SensitiveOutput", "volcengine-ark", 400, ARK_ERROR("OutputTextSensitiveContentDetected.PolicyViolation"),
     Cause::caller},
    {"BadKey", "volcengine-ark", 401, ARK_ERROR("AuthenticationError"), Cause::caller},
    {"ServerFault", "volcengine-ark", 500, ARK_ERROR("InternalServiceError"), Cause::fault},
};
INSTANTIATE_TEST_SUITE_P(OfArk, ProviderError, ::testing::ValuesIn(of_ark), name_of_row);

struct HintRow {
  const char* name;
  std::vector<net::Field> headers;
  const char* body;
  std::optional<std::chrono::milliseconds> hint;
};

std::ostream& operator<<(std::ostream& out, const HintRow& row) {
  return out << row.name;
}

class ProviderHint : public ::testing::TestWithParam<HintRow> {};

#define IN_WORDS(text) R"({"error":{"message":")" text R"("}})"
#define RETRY_INFO(delay)                                                                                   \
  R"([{"error":{"code":429,"message":"Please retry in 50s.","status":"RESOURCE_EXHAUSTED","details":[)"     \
  R"({"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo",)" \
  R"("retryDelay":")" delay R"("}]}}])"

// Where the wait stands, the first that is there: retry-after-ms, retry-after, the provider's own field, the words.
const HintRow hints[] = {
    {"Milliseconds", {{"retry-after-ms", "496"}}, "{}", 496ms},
    {"MillisecondsBeforeSeconds", {{"Retry-After", "5"}, {"retry-after-ms", "496"}}, "{}", 496ms},
    {"MillisecondsThatAreNone", {{"retry-after-ms", "soon"}, {"retry-after", "5"}}, "{}", 5s},
    {"Seconds", {{"Retry-After", "120"}}, "{}", 120s},
    {"FractionsOfSeconds", {{"retry-after", "1.5"}}, "{}", 1500ms},
    {"ADate", {{"retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"}}, "{}", 0s},
    {"NoMoreThanADay", {{"retry-after", "Fri, 31 Dec 2999 23:59:59 GMT"}}, "{}", 24h},
    {"SecondsBeforeTheBody", {{"retry-after", "2"}}, RETRY_INFO("37s"), 2s},
    {"GooglesField", {}, RETRY_INFO("37s"), 37s},
    {"GooglesFieldWithAFraction", {}, RETRY_INFO("3.957525076s"), 3958ms},
    {"MistralsWindow", {{"ratelimitbysize-reset", "31"}}, "{}", 31s},
    {"MistralsWindowBeforeTheWords", {{"ratelimitbysize-reset", "31"}}, IN_WORDS("try again in 2s"), 31s},
    {"SecondsBeforeMistralsWindow", {{"retry-after", "2"}, {"ratelimitbysize-reset", "31"}}, "{}", 2s},
    {"WordsOfOpenAi", {}, IN_WORDS("Limit 10, Used 10, Requested 1. Please try again in 1.798s. Visit"), 1798ms},
    {"WordsOfOpenAiInMilliseconds", {}, IN_WORDS("Please try again in 496ms."), 496ms},
    {"WordsOfOpenAiInMinutes", {}, IN_WORDS("Please try again in 7m12s."), 432s},
    {"WordsOfGoogle", {}, IN_WORDS("Please retry in 36.9s."), 36900ms},
    {"WordsInFull", {}, IN_WORDS("Please retry after 20 seconds."), 20s},
    {"WordsInMinutesAndSeconds", {}, IN_WORDS("Please try again in 5 minutes and 30 seconds."), 330s},
    {"WordsInMinutes", {}, IN_WORDS("Try again in 2 minutes"), 2min},
    {"WordsInHoursAndMinutes", {}, IN_WORDS("Retry in 1 hour, 5 min."), 65min},
    {"WordsAfter", {}, IN_WORDS("Please try again after 1 seconds."), 1s},
    {"WordsWithoutAUnit", {}, IN_WORDS("Please retry after 20."), {}},
    {"WordsWithoutANumber", {}, IN_WORDS("Please try again in some minutes."), {}},
    {"TheTimeToFullIsNone",
     {{"x-ratelimit-reset-requests", "1s"},
      {"x-ratelimit-reset-tokens", "6m0s"},
      {"x-ratelimit-reset-project-tokens", "3s"},
      {"anthropic-ratelimit-requests-reset", "2999-12-31T23:59:59Z"}},
     "{}",
     {}},
    {"NothingIsNone", {}, "", {}},
};

TEST_P(ProviderHint, IsTheFirstThatIsThere) {
  const HintRow& row = GetParam();
  EXPECT_EQ(diagnose(429, row.body, row.headers, rules_of("generic")).hint, row.hint);
}

INSTANTIATE_TEST_SUITE_P(EveryForm, ProviderHint, ::testing::ValuesIn(hints),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace weir::app
