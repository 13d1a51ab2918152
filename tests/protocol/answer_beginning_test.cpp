// Errors inside a 200, by their first bytes.
#include "protocol/answer_beginning.hpp"

#include <gtest/gtest.h>

#include <string>

namespace weir::protocol {
namespace {

TEST(AnswerBeginning, OfAnErrorIsAMemberThatSaysSo) {
  for (const std::string text :
       {R"({"error":{"message":"m"}})", R"( { "error" : "busy" })", R"({"error":["x"]})", R"({"error":true})",
        R"({"error":{"code":1}})", R"({"type":"error","error":{"type":"overloaded_error"}})",
        R"({"object":"error","message":"m","code":400})"}) {
    for (const Api api : {Api::chat, Api::other}) EXPECT_EQ(beginning_of(text, api), Beginning::error) << text;
  }
}

// An error of an API that is known may stand behind other members; of others it may be what the answer is about.
TEST(AnswerBeginning, OfAWebPageIsAnError) {
  for (const char* page : {"<!DOCTYPE html>", "\n <html>", "\xEF\xBB\xBF<"}) {
    EXPECT_EQ(beginning_of(page, Api::chat), Beginning::error) << page;
    EXPECT_EQ(beginning_of(page, Api::other), Beginning::answer) << page;
    EXPECT_TRUE(is_web_page(page));
  }
  for (const char* other : {"", " \n", "{\"a\":\"<html>\"}", "\"<html>\""}) EXPECT_FALSE(is_web_page(other)) << other;
}

TEST(AnswerBeginning, OfAnErrorNeedNotBeItsFirstMember) {
  for (const std::string text :
       {R"({"id":"c1","error":{"a":1}})", R"({"object":"chat.completion","error":{"code":500}})",
        R"({"id":null,"choices":null,"error":{"message":"m"}})", R"({"choices":[],"error":"busy"})",
        R"({"created":1,"model":"a\"},{\\","error":{"a":1}})", R"({"success":false,"error":{"a":1}})",
        R"({"user_id":"u","metadata":{"error":null,"x":["]"]},"error":{"code":429}})",
        R"([{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}])", "\xEF\xBB\xBF{\"error\":{\"a\":1}}",
        R"({"code":"Throttling","message":"Requests rate limit exceeded"})",
        R"({"message":"rate limiting","data":null})"}) {
    EXPECT_EQ(beginning_of(text, Api::chat), Beginning::error) << text;
    const bool is_first = text.starts_with("\xEF");
    EXPECT_EQ(beginning_of(text, Api::other), is_first ? Beginning::error : Beginning::answer) << text;
  }
}

TEST(AnswerBeginning, OfAnErrorMayBeAChoiceThatFailedBeforeAnyContent) {
  for (const std::string text :
       {R"({"choices":[{"error":{"code":502},"message":{"role":"assistant","content":""}}],"usage":{}})",
        R"({"id":"c1","choices":[{"finish_reason":"error","message":{"content":null},"error":{"code":502}}]})"}) {
    EXPECT_EQ(beginning_of(text, Api::chat), Beginning::error) << text;
  }
}

TEST(AnswerBeginning, OfAnAnswerMayHaveAnErrorInIt) {
  for (const std::string text :
       {R"({"id":"c1","choices":[{"message":{"content":"{\"error\":{}}"}}],"error":{"a":1}})",
        R"({"error":null,"choices":[{"message":{"content":"\"error\":1"}}]})",
        R"({"choices":[{"finish_reason":"error","message":{"content":"half"},"error":{"code":502}}]})",
        R"({"choices":[{"finish_reason":"stop","message":{"content":""},"error":null}]})",
        R"({"choices":[{"text":"half","error":{"code":502}}]})", R"({"choices":[{"index":0},{"error":{"a":1}}]})",
        R"({"id":"r1","object":"response","status":"failed","error":{"code":"server_error"},"output":[]})",
        R"({"id":"r1","output":[{}],"error":{"a":1}})",
        R"({"object":"list","data":[{"embedding":[0.5]}],"error":{"a":1}})",
        R"({"type":"message","content":[],"error":{"a":1}})", R"({"message":"m","content":[{"type":"text"}]})",
        R"({"message":{"content":"ollama"},"done":true})", R"({"message":"","id":"c1"})", R"({"input_tokens":5})",
        R"({"data":{"error":{"a":1}}})", R"([[{"error":1}]])", R"({"id":"c1"})"}) {
    EXPECT_EQ(beginning_of(text, Api::chat), Beginning::answer) << text;
  }
}

// What is large need not be there to its end.
TEST(AnswerBeginning, OfAnAnswerTellsWithItsFirstContent) {
  for (const std::string text :
       {R"({"id":"c1","choices":[{"index":0,"mess)", R"({"object":"list","data":[{)", R"({"id":"m","type":"message",)",
        R"({"id":"r1","object":"response",)", R"({"id":"r1","output":[{)"}) {
    EXPECT_EQ(beginning_of(text, Api::chat), Beginning::answer) << text;
  }
  EXPECT_EQ(beginning_of(R"({"id":"c1","error":{)"
                         "\"",
                         Api::chat),
            Beginning::error);
}

TEST(AnswerBeginning, OfAnAnswerIsAnythingElse) {
  for (const std::string text :
       {R"({"id":"c1","error":{"a":1}})", R"({"error":null,"id":"c1"})", R"({"error":false,"id":"c1"})",
        R"({"error":"","id":"c1"})", R"({"error":{},"id":"c1"})", R"({"error": [ ],"id":"c1"})",
        R"({"type":"message"})", R"({"object":"list"})", R"({"errors":[1]})", R"([1])", R"({})", R"("error")", "x"}) {
    EXPECT_EQ(beginning_of(text, Api::other), Beginning::answer) << text;
  }
}

// Whatever has come of a text tells the same as all of it, or nothing yet.
TEST(AnswerBeginning, IsNeverTakenForTheOther) {
  for (const std::string text :
       {R"( {"error" : {"message":"m"}})", R"({"error":null,"id":1})", R"({"error":"","a":1})",
        R"({"type" : "error","error":{}})", R"({"object":"chat.completion"})", R"({"error": { },"a":1})",
        R"({"error":false,"a":1})", R"({"id" : "c1" , "choices" : null , "error" : {"a" : 1}})",
        R"({"a":{"b":"}"},"message":"m\"","data":null})", R"( [ {"error":"x"} ])",
        R"({"choices":[{"message":{"content":"a"}}],"error":null})", "\xEF\xBB\xBF{\"id\":1,\"error\":{\"a\":1}}"}) {
    for (const Api api : {Api::chat, Api::other}) {
      const Beginning all = beginning_of(text, api);
      EXPECT_EQ(beginning_of("", api), Beginning::unknown);
      for (std::size_t size = 0; size < text.size(); ++size) {
        const Beginning part = beginning_of(std::string_view(text).substr(0, size), api);
        EXPECT_TRUE(part == all || part == Beginning::unknown) << text.substr(0, size);
      }
    }
  }
}

}  // namespace
}  // namespace weir::protocol
