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
    EXPECT_EQ(beginning_of(text), Beginning::error) << text;
  }
}

TEST(AnswerBeginning, OfAnAnswerIsAnythingElse) {
  for (const std::string text :
       {R"({"id":"c1","error":{"a":1}})", R"({"error":null,"id":"c1"})", R"({"error":false,"id":"c1"})",
        R"({"error":"","id":"c1"})", R"({"error":{},"id":"c1"})", R"({"error": [ ],"id":"c1"})",
        R"({"type":"message"})", R"({"object":"list"})", R"({"errors":[1]})", R"([1])", R"({})", R"("error")", "x"}) {
    EXPECT_EQ(beginning_of(text), Beginning::answer) << text;
  }
}

// Whatever has come of a text tells the same as all of it, or nothing yet.
TEST(AnswerBeginning, IsNeverTakenForTheOther) {
  for (const std::string text : {R"( {"error" : {"message":"m"}})", R"({"error":null,"id":1})", R"({"error":"","a":1})",
                                 R"({"type" : "error","error":{}})", R"({"object":"chat.completion"})",
                                 R"({"error": { },"a":1})", R"({"error":false,"a":1})"}) {
    const Beginning all = beginning_of(text);
    EXPECT_EQ(beginning_of(""), Beginning::unknown);
    for (std::size_t size = 0; size < text.size(); ++size) {
      const Beginning part = beginning_of(std::string_view(text).substr(0, size));
      EXPECT_TRUE(part == all || part == Beginning::unknown) << text.substr(0, size);
    }
  }
}

}  // namespace
}  // namespace weir::protocol
