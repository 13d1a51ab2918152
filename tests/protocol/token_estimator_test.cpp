// The estimate against real counts, and what of a body counts as what.
#include "protocol/token_estimator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "protocol/counted_texts.hpp"
#include "protocol/request_support.hpp"

namespace weir::protocol {
namespace {

constexpr const char* models[] = {"gpt-4o", "gpt-4", "deepseek-r1", "qwen3-32b"};

PromptEstimate estimate(const std::string& body, std::string_view model = "gpt-4o", Api api = Api::chat) {
  static const TokenEstimator estimator;
  const auto read = read_body(body, api);
  const auto* const view = std::get_if<RequestView>(&read);
  EXPECT_NE(view, nullptr) << "not valid: " << body.substr(0, 200);
  return view == nullptr ? PromptEstimate() : estimator.estimate(body, *view, model);
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + '"';
}

std::string chat_with(const std::string& content) {
  return R"({"messages":[{"role":"user","content":)" + content + "}]}";
}

double relative_error(std::uint64_t estimated, std::uint64_t actual) {
  return static_cast<double>(estimated) / static_cast<double>(actual) - 1;
}

// --- Accuracy

TEST(TokenEstimate, IsCloseToRealTokenizersOnTextsItWasNotFittedTo) {
  const TokenEstimator estimator;
  for (std::size_t family = 0; family < 4; ++family) {
    std::vector<double> errors;
    for (const CountedText& text : counted_texts) {
      const PromptEstimate result = estimator.estimate_text(text.text, models[family]);
      errors.push_back(std::abs(relative_error(result.input, text.tokens[family])));
      EXPECT_LT(errors.back(), 0.2) << text.name << " for " << models[family] << ": " << result.input << " of "
                                    << text.tokens[family];
    }
    std::sort(errors.begin(), errors.end());
    EXPECT_LT(errors[errors.size() / 2], 0.05) << models[family];
  }
}

TEST(TokenEstimate, OfAnUnknownModelLiesBetweenTheFamilies) {
  const TokenEstimator estimator;
  for (const CountedText& text : counted_texts) {
    const auto [least, most] = std::minmax_element(text.tokens.begin(), text.tokens.end());
    const auto result = static_cast<double>(estimator.estimate_text(text.text, "house-model").input);
    EXPECT_GT(result, 0.85 * static_cast<double>(*least)) << text.name;
    EXPECT_LT(result, 1.15 * static_cast<double>(*most)) << text.name;
  }
}

TEST(TokenEstimate, OfALongTextIsMadeFromBlocks) {
  std::string text;
  std::uint64_t tokens = 0;
  for (int i = 0; i < 30; ++i) {
    for (const CountedText& part : counted_texts) {
      text.append(part.text).append("\n\n");
      tokens += part.tokens[2] + 1;
    }
  }
  ASSERT_GT(text.size(), 200'000U);
  const PromptEstimate result = estimate(chat_with(json_string(text)), "deepseek-v3");
  EXPECT_TRUE(result.sampled);
  EXPECT_LT(std::abs(relative_error(result.input, tokens)), 0.05);
  EXPECT_FALSE(estimate(chat_with(json_string(text.substr(0, text.find("今日は"))))).sampled);
}

// A block begins within a text, mostly within a word: as if it began one, it would weigh more.
TEST(TokenEstimate, OfALongTextIsThatOfItsPiecesReadWhole) {
  std::string text;
  while (text.size() < 240'000) {
    for (const CountedText& part : counted_texts) text.append(part.text).append("\n\n");
  }
  const TokenEstimator estimator;
  std::uint64_t pieces = 0;
  for (std::size_t at = 0; at < text.size(); at += 60'000)
    pieces += estimator.estimate_text(std::string_view(text).substr(at, 60'000), "gpt-4o").text;
  const PromptEstimate whole = estimator.estimate_text(text, "gpt-4o");
  EXPECT_TRUE(whole.sampled);
  EXPECT_LT(std::abs(relative_error(whole.text, pieces)), 0.01);
}

TEST(TokenEstimate, OfALongPromptInManyMessagesIsMadeFromBlocksToo) {
  std::string body = R"({"messages":[)";
  for (int i = 0; i < 400; ++i)
    body += (i == 0 ? "" : ",") + std::string(R"({"role":"user","content":)") + json_string(counted_texts[i % 2].text) +
            "}";
  const PromptEstimate result = estimate(body + "]}");
  EXPECT_TRUE(result.sampled);
  EXPECT_LT(std::abs(relative_error(result.text, 200 * (127 + 121))), 0.06);
  EXPECT_EQ(result.framing, 4 * 400 + 3U);
}

// --- Text

TEST(TokenEstimate, ReadsEscapesAsTheCharactersTheyMean) {
  const std::string plain = R"("你好，世界 😀 déjà\n\tvu")";
  const std::string escaped = R"("\u4f60\u597d\uff0c\u4e16\u754c \ud83d\ude00 d\u00e9j\u00E0\n\tvu")";
  EXPECT_EQ(estimate(chat_with(plain)).text, estimate(chat_with(escaped)).text);
  EXPECT_EQ(estimate(chat_with(plain)).features, estimate(chat_with(escaped)).features);
}

TEST(TokenEstimate, SurvivesLoneSurrogatesAndOddEscapes) {
  for (const char* text :
       {R"("\ud83d")", R"("\ude00")", R"("\ud83dx")", R"("\ud83d\u0041")", R"("\/\b\f\r")", R"("\u0000")"})
    EXPECT_LT(estimate(chat_with(text)).text, 20U) << text;
}

TEST(TokenEstimate, OfNothingIsSmall) {
  for (const char* body : {"{}", R"({"messages":[]})", R"({"messages":[{}]})", R"({"messages":[{"content":null}]})",
                           R"({"messages":[{"content":[]}]})", R"({"messages":[{"content":""}]})"}) {
    const PromptEstimate result = estimate(body);
    EXPECT_LT(result.input, 10U) << body;
    EXPECT_EQ(result.text, 0U) << body;
  }
  EXPECT_EQ(estimate(R"({"input":[]})", "text-embedding-3-small", Api::embeddings).input, 0U);
  EXPECT_EQ(estimate(R"({"input":""})", "text-embedding-3-small", Api::embeddings).input, 0U);
}

// --- Parts of a body

TEST(TokenEstimate, AddsTheFramingOfAConversation) {
  EXPECT_EQ(estimate(R"({"messages":[{"role":"user","content":""}]})").framing, 7U);
  EXPECT_EQ(
      estimate(R"({"messages":[{"role":"system","content":""},{"role":"user","name":"bo","content":""}]})").framing,
      12U);
  EXPECT_EQ(estimate(R"({"prompt":"x"})", "gpt-4", Api::completions).framing, 0U);
}

TEST(TokenEstimate, CountsTokenIdsExactly) {
  const auto count = [](const char* body, Api api = Api::embeddings) {
    const PromptEstimate result = estimate(body, "text-embedding-3-large", api);
    EXPECT_EQ(result.upper, result.input) << body;
    return result.input;
  };
  EXPECT_EQ(count(R"({"input":[1,2,3]})"), 3U);
  EXPECT_EQ(count(R"({"input":[ 1 , 2 ]})"), 2U);
  EXPECT_EQ(count(R"({"input":[[1,2,3],[4,5],[]]})"), 5U);
  EXPECT_EQ(count(R"({"prompt":[15496,995]})", Api::completions), 2U);
  EXPECT_EQ(count(R"({"prompt":[[1],[2,3]]})", Api::completions), 3U);
}

TEST(TokenEstimate, ReadsEveryTextOfAnArray) {
  const std::uint64_t one =
      estimate(R"({"input":"The quick brown fox"})", "text-embedding-3-small", Api::embeddings).input;
  EXPECT_NEAR(static_cast<double>(one), 4, 1);
  const std::uint64_t three =
      estimate(R"({"input":["The quick brown fox","The quick brown fox","The quick brown fox"]})",
               "text-embedding-3-small", Api::embeddings)
          .input;
  EXPECT_NEAR(static_cast<double>(three), 3.0 * static_cast<double>(one), 2);
}

TEST(TokenEstimate, ReadsThePartsOfAMessage) {
  const auto whole = estimate(chat_with(R"("Describe the weather in a few words")"));
  const auto parts = estimate(
      chat_with(R"([{"type":"text","text":"Describe the weather"},{"text":" in a few words","type":"text"}])"));
  EXPECT_NEAR(static_cast<double>(parts.text), static_cast<double>(whole.text), 1);
}

TEST(TokenEstimate, ReadsTheResponsesApi) {
  const char* const text = R"("Describe the weather in a few words")";
  const auto chat = estimate(chat_with(text));
  EXPECT_EQ(estimate(std::string(R"({"input":)") + text + "}", "gpt-4o", Api::responses).input, chat.input);
  EXPECT_EQ(
      estimate(std::string(R"({"input":[{"role":"user","content":[{"type":"input_text","text":)") + text + "}]}]}",
               "gpt-4o", Api::responses)
          .input,
      chat.input);
  EXPECT_GT(
      estimate(std::string(R"({"instructions":"Answer in French","input":)") + text + "}", "gpt-4o", Api::responses)
          .input,
      chat.input + 4);
  const auto call = estimate(
      R"({"input":[{"type":"function_call","name":"look_up","arguments":"{\"city\":\"Rome\"}"},{"type":"function_call_output","output":"sunny"}]})",
      "gpt-4o", Api::responses);
  EXPECT_GT(call.text, 6U);
}

TEST(TokenEstimate, ReadsAnthropicsMessages) {
  const auto bare = estimate(chat_with(R"("hello")"), "claude-sonnet-4", Api::messages);
  const auto full = estimate(
      R"({"system":[{"type":"text","text":"You are a careful assistant."}],"messages":[{"role":"user","content":"hello"},
          {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"look_up","input":{"city":"Rome"}}]},
          {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"sunny and warm"}]}]}]})",
      "claude-sonnet-4", Api::messages);
  EXPECT_GT(full.text, bare.text + 12);
  EXPECT_LT(full.text, bare.text + 35);
}

TEST(TokenEstimate, CountsToolsByOpenAisRule) {
  const std::string tool =
      R"({"type":"function","function":{"name":"get_weather","description":"Get the current weather",
          "parameters":{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"},
          "unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"]}}})";
  const std::string body = R"({"messages":[{"role":"user","content":"hi"}],"tools":[)";
  const auto with_one = estimate(body + tool + "]}");
  // A page of OpenAI's cookbook counts 12 + 7 + 3 + 2 x 3 - 3 + 2 x 3 and about 28 tokens of words here.
  EXPECT_NEAR(static_cast<double>(with_one.tools), 57, 9);
  EXPECT_EQ(estimate(body + "]}").tools, 0U);
  const auto with_two = estimate(body + tool + "," + tool + "]}");
  EXPECT_NEAR(static_cast<double>(with_two.tools), 2.0 * static_cast<double>(with_one.tools) - 12, 3);
  // Elsewhere a tool is given to the model as its JSON.
  EXPECT_GT(estimate(body + tool + "]}", "deepseek-chat").tools, with_one.tools);
}

// --- Media

constexpr const char* png_1024 =  // the head of a PNG of 1024 x 1024
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAYAAAB/HSuDAAAAAXNSR0IArs4c6QAAAARnQU1B";

TEST(TokenEstimate, CountsImagesByTilesAndNeverAsText) {
  const auto image = [](const std::string& url, const std::string& detail) {
    return estimate(
        chat_with(R"([{"type":"image_url","image_url":{"url":")" + url + R"(","detail":")" + detail + R"("}}])"));
  };
  EXPECT_EQ(image(png_1024, "high").images, 765U);
  EXPECT_EQ(image(png_1024, "low").images, 85U);
  EXPECT_EQ(image(png_1024, "high").text, 0U);
  EXPECT_EQ(image(std::string(png_1024) + std::string(300'000, 'A'), "auto").input, image(png_1024, "auto").input);
  EXPECT_EQ(image("https://example.com/cat.jpg", "auto").images, 765U);
}

TEST(TokenEstimate, NeverCountsDataAudioOrFilesAsText) {
  const std::string blob(400'000, 'B');
  const std::string parts[] = {
      R"({"type":"input_audio","input_audio":{"data":")" + blob + R"(","format":"wav"}})",
      R"({"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,)" + blob + R"("}})",
      R"({"type":"input_file","file_data":"data:application/pdf;base64,)" + blob + R"("})",
      R"({"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":")" + blob + R"("}})",
      R"({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":")" + blob + R"("}})",
      R"({"type":"video_url","video_url":{"url":"data:video/mp4;base64,)" + blob + R"("}})",
      R"({"type":"input_image","image_url":"data:image/png;base64,)" + blob + R"("})"};
  for (const std::string& part : parts) {
    const auto result = estimate(chat_with("[" + part + "]"));
    EXPECT_EQ(result.text, 0U) << part.substr(0, 60);
    EXPECT_GT(result.images + result.other, 50U) << part.substr(0, 60);
    EXPECT_LT(result.images + result.other, 50'000U) << part.substr(0, 60);
    EXPECT_FALSE(result.sampled) << part.substr(0, 60);
  }
}

// --- Learning

TEST(TokenEstimate, CorrectsWhatAModelCountsOtherwise) {
  TokenEstimator estimator;
  const auto estimate_of = [&](const CountedText& text) { return estimator.estimate_text(text.text, "house-model"); };
  const CountedText& german = counted_texts[2];
  const std::uint64_t before = estimate_of(german).input;
  for (int i = 0; i < 20; ++i) estimator.learn("house-model", estimate_of(german), 2 * german.tokens[2]);
  EXPECT_GT(estimate_of(german).input, before);
  EXPECT_NEAR(static_cast<double>(estimate_of(german).input), 2.0 * static_cast<double>(german.tokens[2]), 8);
  EXPECT_EQ(estimator.estimate_text(german.text, "other-model").input, before) << "another model learned nothing";
}

TEST(TokenEstimate, LearnsOfOneClassWithoutUnlearningAnother) {
  TokenEstimator estimator;
  const CountedText& english = counted_texts[0];
  const CountedText& chinese = counted_texts[4];
  const auto of = [&](const CountedText& text) { return estimator.estimate_text(text.text, "deepseek-r1"); };
  const std::uint64_t english_before = of(english).input;
  for (int i = 0; i < 20; ++i) estimator.learn("deepseek-r1", of(chinese), chinese.tokens[2] * 5 / 4);
  EXPECT_NEAR(static_cast<double>(of(chinese).input), 1.25 * static_cast<double>(chinese.tokens[2]), 8);
  EXPECT_NEAR(static_cast<double>(of(english).input), static_cast<double>(english_before), 4);
}

TEST(TokenEstimate, OneWildReportMovesLittle) {
  TokenEstimator estimator;
  const auto of = [&] { return estimator.estimate_text(counted_texts[0].text, "gpt-4o"); };
  const auto before = static_cast<double>(of().input);
  estimator.learn("gpt-4o", of(), 1'000'000);
  EXPECT_LT(static_cast<double>(of().input), 1.35 * before);
  EXPECT_GT(static_cast<double>(of().input), 0.9 * before);
}

TEST(TokenEstimate, UpperCoversWhatWasLearned) {
  TokenEstimator estimator;
  const auto of = [&] { return estimator.estimate_text(counted_texts[0].text, "gpt-4o"); };
  EXPECT_GT(of().upper, of().input);
  const double before = estimator.margin("gpt-4o");
  EXPECT_GT(before, 1.05);
  EXPECT_LT(before, 1.25);
  for (int i = 0; i < 400; ++i) estimator.learn("gpt-4o", of(), 127);
  EXPECT_LT(estimator.margin("gpt-4o"), before) << "steady reports narrow the margin";
  for (int i = 0; i < 100; ++i) estimator.learn("gpt-4o", of(), i % 2 == 0 ? 100 : 190);
  EXPECT_GE(of().upper, 190U) << "scattered ones widen it";
}

TEST(TokenEstimate, KnowsTheProvidersOwnEstimateFromItsRefusals) {
  TokenEstimator estimator;
  const auto of = [&] { return estimator.estimate_text(counted_texts[0].text, "gpt-4o"); };
  EXPECT_EQ(of().on_arrival, of().upper);
  const std::uint64_t before = of().input;
  for (int i = 0; i < 5; ++i) estimator.learn_requested("gpt-4o", of(), 200);
  EXPECT_EQ(of().input, before) << "what it charges on arrival says nothing about `usage`";
  EXPECT_GE(of().on_arrival, 200U);
  EXPECT_LT(of().on_arrival, 260U);
}

TEST(TokenEstimate, IgnoresReportsThatSayNothing) {
  TokenEstimator estimator;
  const auto of = [&] { return estimator.estimate_text(counted_texts[0].text, "gpt-4o"); };
  const auto before = of();
  estimator.learn("gpt-4o", before, 0);
  EXPECT_EQ(of().input, before.input);
}

TEST(TokenEstimate, ServesSeveralThreads) {
  TokenEstimator estimator;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&estimator, t] {
      for (int i = 0; i < 600; ++i) {
        const std::string model = "model-" + std::to_string((i * 7 + t) % 400);  // more than are kept
        const CountedText& text = counted_texts[static_cast<std::size_t>(i) % std::size(counted_texts)];
        const PromptEstimate result = estimator.estimate_text(text.text, model);
        estimator.learn(model, result, text.tokens[0]);
        estimator.learn_requested(model, result, text.tokens[1]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(estimator.margin("model-1"), 1.0);
}

// --- Odd bodies

// Whatever is valid JSON is estimated without harm; the walk must not trust shapes.
TEST(TokenEstimate, TakesMembersOfAnyShape) {
  const char* const values[] = {
      "1",
      "null",
      "true",
      R"("x")",
      "[]",
      "{}",
      "[[]]",
      R"([{"content":[[{"text":{}}]]}])",
      R"([1,"a",{}])",
      R"({"type":1,"source":[],"image_url":7,"file":null,"tool_calls":{},"name":{},"input":3})",
      R"([{"type":1,"source":[],"image_url":7,"file":null,"tool_calls":{},"name":{},"arguments":3}])"};
  const char* const names[] = {"messages",  "input",        "prompt",          "system", "tools",
                               "functions", "instructions", "response_format", "text"};
  for (const Api api : {Api::chat, Api::completions, Api::embeddings, Api::responses, Api::messages}) {
    for (const char* name : names) {
      for (const char* value : values) {
        const std::string body = std::string("{\"") + name + "\":" + value + "}";
        const auto read = read_body(body, api);
        const auto* const view = std::get_if<RequestView>(&read);
        if (view == nullptr) continue;  // refused before anybody estimates
        EXPECT_LT(TokenEstimator().estimate(body, *view, "gpt-4o").input, 3'000U) << body;
      }
    }
  }
}

}  // namespace
}  // namespace weir::protocol
