// Which bodies are JSON: the RFC's language, no more and no less, with the place of the fault.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "protocol/json_scan.hpp"
#include "protocol/reference_json.hpp"
#include "protocol/request_support.hpp"

namespace weir::protocol {
namespace {

struct SyntaxCase {
  std::string body;
  const char* outcome;
};

std::string nested(std::size_t depth) {
  return R"({"a":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

TEST(RequestSyntax, RefusesWhatIsNotJsonAndNamesTheByte) {
  const SyntaxCase cases[] = {
      {"", "json @0"},
      {"   ", "json @3"},
      {"\xEF\xBB\xBF{}", "json @0"},
      {"[]", "json @0"},
      {"1", "json @0"},
      {"\"{}\"", "json @0"},
      {"{", "json @1"},
      {"{}{}", "json @2"},
      {"{} x", "json @3"},
      {"{}}", "json @2"},
      {std::string("{}\0", 3), "json @2"},
      {R"({"a":{})", "json @7"},
      {R"({"a":[1})", "json @7"},
      {R"({"a":1]})", "json @6"},
      {R"({"a":1,})", "json @7"},
      {R"({,"a":1})", "json @1"},
      {R"({"a" 1})", "json @5"},
      {R"({"a":})", "json @5"},
      {R"({"a"})", "json @4"},
      {R"({a:1})", "json @1"},
      {R"({'a':1})", "json @1"},
      {R"({"a":1 "b":2})", "json @7"},
      {R"({"a":1,,"b":2})", "json @7"},
      {R"({"a":[1,]})", "json @8"},
      {R"({"a":[,1]})", "json @6"},
      {R"({"a":[1 2 :3 tru]})", "json @8"},
      {R"({"a":["b":1]})", "json @9"},
      {R"({"a":"b)", "json @5"},
      {R"({"a)", "json @1"},
      {R"({"a":"b\"})", "json @5"},
      {R"({"a":/**/1})", "json @5"},
      {"{\"a\":1\x0C}", "json @5"},
      {"{\"a\":\x01 1}", "json @5"},
      {"{\"a\":\"\n\"}", "json @6"},
      {"{\"a\":\"\x1F\"}", "json @6"},
      {std::string("{\"a\":\"\0\"}", 9), "json @6"},
  };
  for (const SyntaxCase& c : cases) EXPECT_EQ(outcome_of(c.body), c.outcome) << c.body;
}

TEST(RequestSyntax, RefusesASkippedNumberThatIsNotJson) {
  for (const char* const number : {"01", "1.", ".1", "-", "+1", "1e", "1e+", "0x1", "1.e1", "--1", "1a", "NaN",
                                   "Infinity", "-a", "1 2", "00", "-01", "1,2"}) {
    const std::string body = std::string(R"({"a":{"b":[)") + number + "]}}";
    const bool is_list = std::string_view(number) == "1,2";
    EXPECT_EQ(outcome_of(body).substr(0, 5), is_list ? "valid" : "json ") << number;
  }
}

TEST(RequestSyntax, RefusesASkippedWordThatIsNotJson) {
  for (const char* const word :
       {"tru", "truex", "True", "nul", "nulll", "fals", "falsey", "t", "undefined", "true1", "null\"\""}) {
    EXPECT_EQ(outcome_of(std::string(R"({"a":[)") + word + "]}").substr(0, 4), "json") << word;
  }
}

TEST(RequestSyntax, RefusesASkippedEscapeThatIsNotJson) {
  for (const char* const escape : {"\\q", "\\u12", "\\u12G4", "\\x41", "\\'", "\\u", "\\U0041", "\\\\\\q"}) {
    const std::string text(escape);
    const std::size_t at = text.rfind('\\');
    EXPECT_EQ(outcome_of("{\"a\":[\"" + text + "\"]}"), "json @" + std::to_string(7 + at)) << escape;
    EXPECT_EQ(outcome_of("{\"" + text + "\":1}"), "json @" + std::to_string(2 + at)) << escape;
  }
}

TEST(RequestSyntax, RefusesInvalidUtf8Anywhere) {
  for (const char* const bytes :
       {"\xFF", "\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_EQ(outcome_of(std::string(R"({"a":[{"b":"x)") + bytes + "\"}]}"), "json @13")
        << testing::PrintToString(bytes);
    EXPECT_EQ(outcome_of(std::string("{\"") + bytes + "\":1}"), "json @2") << testing::PrintToString(bytes);
  }
}

TEST(RequestSyntax, AcceptsAllThatTheRfcAllows) {
  const std::string bodies[] = {
      "{}",
      " \t\r\n{ } \n",
      R"({"a":"\ud800"})",
      R"({"a":"\udc00\ud800"})",
      R"({"\ud800":1})",
      R"({"a":"\u0000\"\\\/\b\f\n\r\t"})",
      R"({"":1})",
      R"({"a":-0,"b":0.0,"c":1E+2,"d":1e-2,"e":-1.5e300})",
      R"({"a":1e999,"b":-1e99999,"c":123456789012345678901234567890,"d":0.00000000000000000000000000000000001})",
      R"({"a":[[],{},[{}],"",null,true,false]})",
      "{\"a\":\"\x7F\xC2\x80\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\xEF\xBB\xBF\"}",
      R"({"a":{"b":1,"b":2}})",
  };
  for (const std::string& body : bodies) EXPECT_EQ(outcome_of(body), "valid") << body;
}

TEST(RequestSyntax, AllowsNestingUpToTheLimitAndNoDeeper) {
  EXPECT_EQ(outcome_of(nested(256)), "valid");
  EXPECT_EQ(outcome_of(nested(257)), "json a@260");
  EXPECT_EQ(outcome_of(R"({"messages":)" + std::string(255, '[') + std::string(255, ']') + "}"),
            "parameter messages[0]@13");
  EXPECT_EQ(outcome_of(R"({"b":1,"messages":)" + std::string(256, '[') + std::string(256, ']') + "}"),
            "json messages@273");
  EXPECT_EQ(outcome_of(nested(1024), Api::chat, {1024, 1024}), "valid");
  EXPECT_EQ(outcome_of(nested(1025), Api::chat, {1024, 1024}), "json a@1028");
  EXPECT_EQ(outcome_of("{}", Api::chat, {1, 1024}), "valid");
  EXPECT_EQ(outcome_of(R"({"a":[]})", Api::chat, {1, 1024}), "json a@5");
  EXPECT_EQ(outcome_of(std::string(100000, '[')), "json @0");
  EXPECT_EQ(outcome_of(nested(100000)), "json a@260");
}

TEST(RequestSyntax, IsReadAlikeWhateverStandsBehindTheBody) {
  for (const char padding : {'\0', ' ', '}', ']', '"', ',', '1', 'e', '\\'}) {
    for (const char* const body :
         {R"({"a":{})", R"({"a":[1)", R"({"a":1)", R"({"a":"b)", R"({"a":tru)", R"({"a":)", R"({"a")", "{"}) {
      EXPECT_TRUE(std::holds_alternative<BodyError>(read_body(body, Api::chat, {}, padding))) << body << padding;
    }
    EXPECT_TRUE(std::holds_alternative<RequestView>(read_body(R"({"a":{}})", Api::chat, {}, padding))) << padding;
  }
}

TEST(RequestSyntax, HoldsForEveryFamilyOfApis) {
  for (const Api api :
       {Api::chat, Api::completions, Api::embeddings, Api::responses, Api::messages, Api::models, Api::other}) {
    EXPECT_EQ(outcome_of("{}", api), "valid");
    EXPECT_EQ(outcome_of("", api), "json @0");
    EXPECT_EQ(outcome_of(R"({"a":[01]})", api), "json @6");
  }
}

TEST(RequestSyntax, ALargeBodyLeavesTheReaderUsable) {
  const std::string text(3 << 20, 'x');
  EXPECT_EQ(view_of(R"({"model":"m","prompt":")" + text + "\"}", Api::completions).model, "m");
  EXPECT_EQ(view_of(R"({"model":"n"})", Api::completions).model, "n");
}

// The brackets in the padding seemed to close it, and the end of the list was looked for before the body's first byte.
TEST(RequestSyntax, AnUnclosedListBeforePaddingThatClosesItIsRefused) {
  for (const char padding : {']', '}', ' ', '"'}) {
    const auto result = read_body(R"({"a":[1,[2],{"b":[2],"c":{"d":3}}})", Api::other, {}, padding);
    EXPECT_TRUE(std::holds_alternative<BodyError>(result)) << padding;
  }
}

// Sound bodies with a few bytes changed, against a validator that shares nothing with the reader.
TEST(JsonScan, KnowsADocumentThatBreaksOff) {
  const std::string whole = R"( {"a":[{"b":"\"]}\\"},1.5],"c":"{"} )";
  EXPECT_FALSE(json::is_cut(whole));
  for (std::size_t size = 2; size + 1 < whole.size(); ++size) EXPECT_TRUE(json::is_cut(whole.substr(0, size))) << size;
  for (const char* other : {"", " ", "text", "a \"quote", "]", "{}}", "{\"a\" 1}"})
    EXPECT_FALSE(json::is_cut(other)) << other;
}

TEST(RequestSyntax, AgreesWithTheReferenceValidator) {
  const char* const given = std::getenv("WEIR_TEST_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("WEIR_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string sound[] = {
      R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a\n\u00e9"}]}],"n":1})",
      R"({"a":[1,-2.5e+10,0,true,false,null,"",[],{},[[1],{"b":[2]}]],"c":{"d":{"e":"f"}}})",
      "{ \"k\\u0065y\" : \"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\\ud83d\\ude00\" , \"x\" : [ 1 , 2 ] }\n",
  };
  const std::string_view alphabet = "{}[]:,\"\\ \n01-+.eEtrufalsn\xC3\x80\xFF\x1F/";
  std::size_t valid = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string body = sound[random() % std::size(sound)];
    for (std::size_t change = random() % 4; change > 0; --change) {
      const std::size_t at = random() % body.size();
      const char byte = alphabet[random() % alphabet.size()];
      switch (random() % 4) {
        case 0:
          body[at] = byte;
          break;
        case 1:
          body.insert(at, 1, byte);
          break;
        case 2:
          body.erase(at, 1 + random() % 3);
          break;
        default:
          body.insert(at, body.substr(random() % body.size(), random() % 12));
          break;
      }
      if (body.empty()) body = "{";
    }
    const reference::Json expected(body);
    const auto result = read_body(body, Api::other, {}, static_cast<char>(random()));
    const auto* const error = std::get_if<BodyError>(&result);
    const bool read = error == nullptr || error->kind != BodyError::Kind::invalid_json;
    ASSERT_EQ(read, expected.valid()) << testing::PrintToString(body);
    if (error != nullptr) continue;
    ++valid;
    const RequestView& view = std::get<RequestView>(result);
    ASSERT_EQ(view.members.size(), expected.members().size()) << body;
    for (std::size_t i = 0; i < view.members.size(); ++i) {
      const Span& key = view.members[i].key;
      const Span& value = view.members[i].value;
      ASSERT_EQ(body.substr(key.begin + 1, key.end - key.begin - 2), expected.members()[i].first);
      ASSERT_EQ(body.substr(value.begin, value.end - value.begin), expected.members()[i].second);
    }
  }
  EXPECT_GT(valid, 1000u);
}

}  // namespace
}  // namespace weir::protocol
