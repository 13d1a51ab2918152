// The few changes to a body: each leaves valid JSON and every other byte as it was.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "protocol/reference_json.hpp"
#include "protocol/request_support.hpp"

namespace weir::protocol {
namespace {

std::string without(std::string_view body, const std::vector<std::string_view>& names) {
  return spliced(body, drop_members(body, view_of(body), names));
}

std::string asking(std::string_view body, Api api = Api::chat) {
  return spliced(body, ask_for_usage(body, view_of(body, api)));
}

TEST(RequestSplices, ReplaceTheModelAndNothingElse) {
  const std::string_view body = R"({ "a":"model", "model" : "old\"" , "b":1})";
  EXPECT_EQ(spliced(body, {replace_model(view_of(body), "new \"x\" \\ \n é")}),
            R"({ "a":"model", "model" : "new \"x\" \\ \n é" , "b":1})");
}

TEST(RequestSplices, DropMembersWithOneCommaEach) {
  const std::string_view body = R"({ "a":1, "b" : {"x":[1,2]} ,"c":"}" , "d":null })";
  EXPECT_EQ(without(body, {}), body);
  EXPECT_EQ(without(body, {"zz"}), body);
  EXPECT_EQ(without(body, {"a"}), R"({ "b" : {"x":[1,2]} ,"c":"}" , "d":null })");
  EXPECT_EQ(without(body, {"b"}), R"({ "a":1 ,"c":"}" , "d":null })");
  EXPECT_EQ(without(body, {"d"}), R"({ "a":1, "b" : {"x":[1,2]} ,"c":"}" })");
  EXPECT_EQ(without(body, {"b", "c"}), R"({ "a":1 , "d":null })");
  EXPECT_EQ(without(body, {"c", "d"}), R"({ "a":1, "b" : {"x":[1,2]} })");
  EXPECT_EQ(without(body, {"a", "b"}), R"({ "c":"}" , "d":null })");
  EXPECT_EQ(without(body, {"a", "c"}), R"({ "b" : {"x":[1,2]} , "d":null })");
  EXPECT_EQ(without(body, {"a", "b", "c"}), R"({ "d":null })");
  EXPECT_EQ(without(body, {"d", "c", "b", "a"}), "{  }");
  EXPECT_EQ(without(R"({"m\u0061x":1,"b":2})", {"max"}), R"({"b":2})") << "names are compared unescaped";
}

TEST(RequestSplices, AskForUsageOnce) {
  EXPECT_EQ(asking(R"({"model":"m","stream":true})"),
            R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
  EXPECT_EQ(asking(R"({"stream":true,"stream_options":null})"),
            R"({"stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(asking(R"({"stream":true,"stream_options":{}})"),
            R"({"stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(asking(R"({"stream":true,"stream_options":{ "a" : 1}})"),
            R"({"stream":true,"stream_options":{"include_usage":true, "a" : 1}})");
  EXPECT_EQ(asking(R"({"stream":true,"stream_options":{"a":{"include_usage":false},"include_usage": false ,"b":2}})"),
            R"({"stream":true,"stream_options":{"a":{"include_usage":false},"include_usage": true ,"b":2}})");
  EXPECT_EQ(asking(R"({"stream":true,"stream_options":{"include\u005fusage":null}})"),
            R"({"stream":true,"stream_options":{"include\u005fusage":true}})");
  for (const char* const body :
       {R"({"stream":true,"stream_options":{"include_usage":true}})", R"({"stream":false})", "{}"}) {
    EXPECT_EQ(asking(body), body);
  }
  EXPECT_EQ(asking(R"({"stream":true})", Api::responses), R"({"stream":true})");
  EXPECT_EQ(asking(R"({"stream":true})", Api::messages), R"({"stream":true})");
}

TEST(RequestSplices, AskForRunningUsageBesideTheTotal) {
  const auto running = [](std::string_view body) {
    return spliced(body, ask_for_usage(body, view_of(body), "chunk_include_usage"));
  };
  const std::string both = R"({"include_usage":true,"chunk_include_usage":true})";
  EXPECT_EQ(running(R"({"stream":true})"), R"({"stream_options":)" + both + R"(,"stream":true})");
  EXPECT_EQ(running(R"({"stream":true,"stream_options":null})"), R"({"stream":true,"stream_options":)" + both + "}");
  EXPECT_EQ(running(R"({"stream":true,"stream_options":{}})"), R"({"stream":true,"stream_options":)" + both + "}");
  EXPECT_EQ(running(R"({"stream":true,"stream_options":{"include_usage":true}})"),
            R"({"stream":true,"stream_options":{"chunk_include_usage":true,"include_usage":true}})");
  EXPECT_EQ(running(R"({"stream":true,"stream_options":{"chunk_include_usage":true}})"),
            R"({"stream":true,"stream_options":{"include_usage":true,"chunk_include_usage":true}})");
  EXPECT_EQ(running(R"({"stream":true,"stream_options":{"chunk_include_usage":false,"include_usage":null}})"),
            R"({"stream":true,"stream_options":{"chunk_include_usage":true,"include_usage":true}})");
  const std::string asked = R"({"stream":true,"stream_options":)" + both + "}";
  EXPECT_EQ(running(asked), asked);
  EXPECT_EQ(running(R"({"stream":false})"), R"({"stream":false})");
}

TEST(RequestSplices, ApplyTogetherInAnyOrder) {
  const std::string_view body = R"({"logprobs":true,"model":"a","stream":true,"x":1})";
  const RequestView view = view_of(body);
  std::vector<Splice> all = drop_members(body, view, {"logprobs", "x"});
  all.push_back(replace_model(view, "b"));
  for (Splice& splice : ask_for_usage(body, view)) all.push_back(std::move(splice));
  std::mt19937 random(1);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(all.begin(), all.end(), random);
    EXPECT_EQ(spliced(body, all), R"({"stream_options":{"include_usage":true},"model":"b","stream":true})");
  }
}

TEST(RequestSplices, ALargerChangeSwallowsOneInsideIt) {
  const std::string_view body = R"({"model":"a","stream":true,"stream_options":{"include_usage":false}})";
  const RequestView view = view_of(body);
  std::vector<Splice> all = ask_for_usage(body, view);
  all.push_back(replace_model(view, "b"));
  for (Splice& splice : drop_members(body, view, {"stream_options", "model"})) all.push_back(std::move(splice));
  EXPECT_EQ(spliced(body, all), R"({"stream":true})");
}

TEST(RequestSplices, LeaveABodyOfNoChangesInOnePiece) {
  const std::string_view body = R"({"a":1})";
  std::vector<Splice> none;
  const auto pieces = apply_splices(body, none);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].data(), body.data());
}

// Random objects with every subset of changes: valid JSON, and exactly the members that were to stay.
TEST(RequestSplices, LeaveValidJsonWithTheOtherMembersUntouched) {
  const char* const given = std::getenv("WEIR_TEST_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("WEIR_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const char* const values[] = {"1", "\"a,}\"", "[1,{\"b\":2}]", "{}", "null", "{\"include_usage\":false}", "\"\\\"\""};
  const char* const spaces[] = {"", "", " ", "\n\t"};
  const auto space = [&] { return spaces[random() % std::size(spaces)]; };
  for (int round = 0; round < 5000; ++round) {
    std::string body = std::string(space()) + "{" + space() + "\"stream\":true";
    std::vector<std::string> names;
    const std::size_t count = random() % 6;
    for (std::size_t i = 0; i < count; ++i) {
      names.push_back(i == 3 ? "model" : std::string(1, static_cast<char>('a' + i)));
      const char* const value = i == 3 ? "\"m\"" : values[random() % std::size(values)];
      body += std::string(space()) + "," + space() + "\"" + names.back() + "\"" + space() + ":" + space() + value;
    }
    if (random() % 2 == 0) body += std::string(",\"stream_options\":") + (random() % 2 == 0 ? "null" : "{ \"x\":1 }");
    body += std::string(space()) + "}" + space();

    const RequestView view = view_of(body);
    ASSERT_FALSE(view.members.empty()) << body;
    std::vector<std::string_view> dropped;
    for (const std::string& name : names) {
      if (random() % 2 == 0) dropped.push_back(name);
    }
    std::vector<Splice> splices = drop_members(body, view, dropped);
    const bool replaces = view.find("model") != nullptr && random() % 2 == 0;
    if (replaces) splices.push_back(replace_model(view, "other"));
    const bool asks = random() % 2 == 0;
    if (asks) {
      for (Splice& splice : ask_for_usage(body, view)) splices.push_back(std::move(splice));
    }
    const std::string result = spliced(body, splices);
    const reference::Json after(result);
    ASSERT_TRUE(after.valid()) << body << "\n" << result;
    const RequestView changed = view_of(result);
    EXPECT_EQ(changed.asks_usage, asks) << result;
    const reference::Json before(body);
    for (const auto& [name, value] : before.members()) {
      if (name == "stream_options") continue;
      const Member* const kept = changed.find(name);
      const bool gone = std::find(dropped.begin(), dropped.end(), name) != dropped.end();
      ASSERT_EQ(kept == nullptr, gone) << name << "\n" << body << "\n" << result;
      if (gone) continue;
      const std::string text = result.substr(kept->value.begin, kept->value.end - kept->value.begin);
      ASSERT_EQ(text, name == "model" && replaces ? "\"other\"" : value) << result;
    }
  }
}

}  // namespace
}  // namespace weir::protocol
