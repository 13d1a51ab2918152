#include "proxy/loggable_words.hpp"

#include <gtest/gtest.h>

#include <array>

namespace weir::proxy {
namespace {

protocol::UpstreamError error_of(std::string message, std::string type = "", std::string code = "") {
  protocol::UpstreamError error;
  error.message = std::move(message);
  error.type = std::move(type);
  error.code = std::move(code);
  return error;
}

TEST(LoggableWords, TellsWhyTheUpstreamIsInTrouble) {
  EXPECT_EQ(loggable_words(error_of("Rate limit reached for deepseek-chat-0324 in organization: Limit 60000."),
                           Cause::minute_budget, 429, {}),
            "Rate limit reached for deepseek-chat-0324 in organization: Limit 60000.");
  EXPECT_EQ(loggable_words(error_of("", "server_error"), Cause::fault, 500, {}),
            "The upstream answered 500: server_error.");
  EXPECT_EQ(loggable_words(error_of(""), Cause::fault, 502, {}), "The upstream answered 502.");
}

TEST(LoggableWords, TellsOnlyTypeAndCodeWhereTheMessageMayQuoteThePrompt) {
  EXPECT_EQ(loggable_words(error_of("Invalid value: 'my secret prompt'", "invalid_request_error", "invalid_value"),
                           Cause::caller, 400, {}),
            "The upstream answered 400: invalid_request_error, invalid_value.");
  // A code is a word; what is none may be a quotation too.
  EXPECT_EQ(loggable_words(error_of("x", "my secret prompt", "sk-or-v1-abc"), Cause::caller, 400, {}),
            "The upstream answered 400.");
}

TEST(LoggableWords, HidesWhatIsOrLooksLikeAKey) {
  constexpr std::array<std::string_view, 2> secrets{"of-the-caller", "hunter2"};
  EXPECT_EQ(loggable_words(error_of("No quota for of-the-caller, hunter2, sk-proj-x, Bearer 0f1e2d3c4b5a69788796, of "
                                    "req_1."),
                           Cause::quota, 429, secrets),
            "No quota for ***, ***, ***, Bearer ***, of req_1.");
}

// A server that chokes on a text says which.
TEST(LoggableWords, HidesWhatAFailureQuotes) {
  const auto words = [](const char* message) { return loggable_words(error_of(message), Cause::fault, 500, {}); };
  EXPECT_EQ(words("Rendering failed for 'I don't know what's up' in chat.jinja"),
            "Rendering failed for '***' in chat.jinja");
  EXPECT_EQ(words("bad token in \"我的诊断\""), "bad token in \"***\"");
  EXPECT_EQ(words("cannot parse `my secret prom"), "cannot parse `***");
  EXPECT_EQ(words("the server can't load 'qwen3-8b' now"), "the server can't load 'qwen3-8b' now");
}

TEST(LoggableWords, OfTypesAndCodesAreThoseWithTheShapeOfAWord) {
  EXPECT_EQ(loggable_word("insufficient_quota"), "insufficient_quota");
  EXPECT_EQ(loggable_word("402"), "402");
  EXPECT_EQ(loggable_word("account 4711"), "");
  EXPECT_EQ(loggable_word("sk-provider-secret-99"), "");
}

TEST(LoggableWords, IsBounded) {
  EXPECT_EQ(loggable_words(error_of(std::string(5000, '.')), Cause::fault, 500, {}).size(), 200u);
}

}  // namespace
}  // namespace weir::proxy
