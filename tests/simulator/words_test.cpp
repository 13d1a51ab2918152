// The small pure parts: words of the flags, headers, routes, tokens, errors, uploads.
#include <gtest/gtest.h>

#include "simulator/base64.hpp"
#include "simulator/behaviour.hpp"
#include "simulator/output.hpp"
#include "simulator/refusal.hpp"
#include "simulator/route.hpp"
#include "simulator/upload.hpp"
#include "simulator/vocabulary.hpp"

namespace weir::simulator {
namespace {

using namespace std::chrono_literals;

TEST(Words, OfDurations) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("0"), 0s);
  EXPECT_EQ(parse_duration("0ms"), 0s);
  for (const char* wrong : {"", "5", "s", "-1s", "1 s", "1x", "nans", "1s "})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(Words, OfFailures) {
  EXPECT_EQ(parse_fail_first("3:429")->count, 3u);
  EXPECT_EQ(parse_fail_first("3:429")->status, 429);
  EXPECT_EQ(parse_fail_first("2")->status, 503);
  EXPECT_EQ(parse_fail_rate("0.25")->probability, 0.25);
  EXPECT_EQ(parse_fail_rate("1:529")->status, 529);
  for (const char* wrong : {"", "x", "1:", "1:99", "-1", ":429", "1:429x"})
    EXPECT_FALSE(parse_fail_first(wrong)) << wrong;
  for (const char* wrong : {"", "1.5", "-0.1", "nan", "0.5:1000"}) EXPECT_FALSE(parse_fail_rate(wrong)) << wrong;
}

TEST(Words, OfKinds) {
  EXPECT_EQ(parse_limiter("sliding"), Limiter::sliding);
  EXPECT_EQ(parse_charge("estimate-plus-max"), Charge::estimate_plus_max);
  EXPECT_EQ(parse_dialect("ark"), Dialect::ark);
  EXPECT_EQ(parse_stream_usage("total"), StreamUsage::total);
  EXPECT_FALSE(parse_limiter("leaky") || parse_charge("max") || parse_dialect("azure") || parse_stream_usage("some"));
}

net::RequestHead head_with(std::string_view name, std::string_view value) {
  net::RequestHead head;
  head.fields.push_back({name, value});
  return head;
}

TEST(BehaviourHeaders, OverrideTheOptions) {
  Options options;
  options.ttft = 5s;
  EXPECT_EQ(std::get<Behaviour>(read_behaviour(options, head_with("X-Sim-Ttft", "20ms"))).ttft, 20ms);
  EXPECT_EQ(std::get<Behaviour>(read_behaviour(options, head_with("x-other", "20ms"))).ttft, 5s);
  const auto dropped = std::get<Behaviour>(read_behaviour(options, head_with("x-sim-drop-after", "head")));
  EXPECT_TRUE(dropped.faults.drop_after_head);
  const auto framed = std::get<Behaviour>(read_behaviour(options, head_with("x-sim-framing", "crlf, close")));
  EXPECT_TRUE(framed.crlf && framed.until_close && !framed.chunked);
  const auto cut = std::get<Behaviour>(read_behaviour(options, head_with("x-sim-chunking", "1")));
  EXPECT_EQ(cut.cutting.mode, Cutting::Mode::bytes);
}

TEST(BehaviourHeaders, ThatMakeNoSenseAreNamed) {
  const auto value = read_behaviour(Options{}, head_with("x-sim-ttft", "soon"));
  EXPECT_EQ(std::get<std::string>(value), "'soon' is no value for the header x-sim-ttft");
  const auto name = read_behaviour(Options{}, head_with("x-sim-tttf", "1s"));
  EXPECT_NE(std::get<std::string>(name).find("x-sim-tttf"), std::string::npos);
}

TEST(Routes, AreFoundUnderEveryPrefix) {
  for (const char* prefix :
       {"", "/v1", "/beta", "/anthropic/v1", "/anthropic", "/api/v3", "/openai/v1", "/openai/deployments/gpt"}) {
    EXPECT_EQ(read_target(std::string(prefix) + "/chat/completions?api-version=1").route, Route::chat) << prefix;
  }
  EXPECT_EQ(read_target("/v1/chat/completions?a=b").query, "a=b");
  EXPECT_EQ(read_target("/anthropic/v1/messages").route, Route::messages);
  EXPECT_EQ(read_target("/user/balance").route, Route::balance);
  EXPECT_EQ(read_target("/v1/models/org%2Fname").id, "org/name");
  EXPECT_EQ(read_target("/v1/models/org/name").id, "org/name");
  EXPECT_EQ(read_target("/v1/files/file-1/content").route, Route::file_content);
  EXPECT_EQ(read_target("/v1/files/file-1/content").id, "file-1");
  EXPECT_EQ(read_target("/v1/responses/resp_1").id, "resp_1");
  for (const char* unknown :
       {"/", "/v1", "/v1/", "/v1chat/completions", "/v2/chat/completions", "/v1/audio/speech", "*"}) {
    EXPECT_EQ(read_target(unknown).route, Route::other) << unknown;
  }
}

TEST(Vocabulary, IsTheSameEveryTime) {
  EXPECT_EQ(words(3), "one two three");
  EXPECT_NE(words(30).find(" é"), std::string::npos);
  EXPECT_NE(words(30).find(" 中"), std::string::npos);
  EXPECT_NE(words(30).find(" \xF0\x9F\x99\x82"), std::string::npos);
}

TEST(Vocabulary, CutsTextBetweenCharacters) {
  const std::string text = "a  b 中文字符中文字符中文字符 \xF0\x9F\x99\x82\xF0\x9F\x99\x82 looooooooooooooong ";
  std::string joined;
  for (const std::string& piece : pieces_of(text)) {
    EXPECT_FALSE(piece.empty());
    EXPECT_NE(static_cast<unsigned char>(piece[0]) & 0xC0u, 0x80u) << "a piece begins inside a character";
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  EXPECT_TRUE(pieces_of("").empty());
}

Output output_of(ModelRequest request, std::uint64_t tokens, Dialect dialect = Dialect::openai) {
  Behaviour behaviour;
  behaviour.output_tokens = tokens;
  return Output(request, behaviour, dialect);
}

TEST(Output, IsCutByTheCapThatHolds) {
  ModelRequest request;
  EXPECT_EQ(output_of(request, 10).finish(), Finish::stop);
  request.max_tokens = 10;
  EXPECT_EQ(output_of(request, 10).finish(), Finish::stop);
  request.max_tokens = 9;
  EXPECT_EQ(output_of(request, 10).size(), 9u);
  EXPECT_EQ(output_of(request, 10).finish(), Finish::length);
}

TEST(Output, OfAReasoningModelIsCappedAsTheDialectSays) {
  ModelRequest request;
  request.model = "deepseek-r1";
  EXPECT_EQ(output_of(request, 10).thoughts(), 5u);
  EXPECT_EQ(output_of(request, 10).size(), 15u);
  request.max_tokens = 4;
  EXPECT_EQ(output_of(request, 10).size(), 4u) << "DeepSeek's max_tokens includes the thinking";
  EXPECT_EQ(output_of(request, 10, Dialect::ark).size(), 9u) << "Ark's bounds the answer";
  request.max_tokens.reset();
  request.max_total_tokens = 7;
  EXPECT_EQ(output_of(request, 10, Dialect::ark).size(), 7u);
}

TEST(Refusals, WriteDurationsAsGoDoes) {
  EXPECT_EQ(go_duration(0s), "0ms");
  EXPECT_EQ(go_duration(9ms), "9ms");
  EXPECT_EQ(go_duration(1s), "1s");
  EXPECT_EQ(go_duration(7660ms), "7.66s");
  EXPECT_EQ(go_duration(6min), "6m0s");
  EXPECT_EQ(go_duration(1h), "1h0m0s");
  EXPECT_EQ(go_duration(179560ms), "2m59.56s");
}

TEST(Refusals, SpeakEveryDialect) {
  const Verdict tokens{Verdict::Refusal::tokens, 1000, 900, 200, Duration(1798ms)};
  const Problem openai = over_limit(Voice::openai, tokens, "gpt");
  EXPECT_EQ(openai.type, "tokens");
  EXPECT_EQ(openai.code, "rate_limit_exceeded");
  EXPECT_NE(openai.message.find("Limit 1000, Used 900, Requested 200. Please try again in 1.798s"), std::string::npos)
      << openai.message;
  EXPECT_EQ(wait_headers(Voice::openai, openai), "retry-after-ms: 1798\r\nretry-after: 2\r\n");

  const Problem ark = over_limit(Voice::ark, tokens, "deepseek-r1");
  EXPECT_EQ(ark.code, "ModelAccountTpmRateLimitExceeded");
  const std::string ark_body = problem_body(Voice::ark, ark, "req_1");
  EXPECT_EQ(ark_body.rfind(R"({"error":{"code":"ModelAccountTpmRateLimitExceeded","message":)", 0), 0u) << ark_body;
  EXPECT_NE(ark_body.find(R"(Request id: req_1","param":"","type":"TooManyRequests"}})"), std::string::npos)
      << ark_body;

  EXPECT_EQ(wait_headers(Voice::deepseek, over_limit(Voice::deepseek, tokens, "m")), "");
  const std::string anthropic = problem_body(Voice::anthropic, over_limit(Voice::anthropic, tokens, "m"), "req_1");
  EXPECT_EQ(anthropic.rfind(R"({"type":"error","error":{"type":"rate_limit_error","message":)", 0), 0u) << anthropic;
  EXPECT_NE(anthropic.find(R"("request_id":"req_1")"), std::string::npos) << anthropic;
}

TEST(Refusals, TakeACodeOfTheCallers) {
  const Problem problem = failure(Voice::openai, 429, "insufficient_quota/credit_balance_exhausted");
  EXPECT_EQ(problem.type, "insufficient_quota");
  EXPECT_EQ(problem.code, "credit_balance_exhausted");
  EXPECT_EQ(failure(Voice::anthropic, 529, "").type, "overloaded_error");
  EXPECT_EQ(failure(Voice::ark, 429, "").code, "ServerOverloaded");
}

TEST(Base64, PadsAsItShould) {
  const auto encode = [](std::string_view text) {
    std::string out;
    append_base64(out, text);
    return out;
  };
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("\xff\xfe\xfd"), "//79");
}

const std::string file_content("line one\r\n--not the boundary\r\n\0\xff binary\r\n", 41);
const std::string multipart =
    "--XyZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
    "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: "
    "text/plain\r\n\r\n" +
    file_content + "\r\n--XyZ--\r\n";

TEST(Upload, FindsTheFileAtEverySplit) {
  for (std::size_t split = 0; split <= multipart.size(); ++split) {
    Upload upload("multipart/form-data; boundary=XyZ");
    upload.feed(std::string_view(multipart).substr(0, split));
    upload.feed(std::string_view(multipart).substr(split));
    const UploadedFile file = upload.finish();
    ASSERT_TRUE(file.well_formed) << split;
    ASSERT_EQ(file.content, file_content) << split;
    ASSERT_EQ(file.filename, "in.jsonl");
    ASSERT_EQ(file.purpose, "batch");
    ASSERT_EQ(file.bytes, file_content.size());
    ASSERT_EQ(file.sha256, sha256(file_content));
    ASSERT_EQ(file.body_bytes, multipart.size());
    ASSERT_EQ(file.body_sha256, sha256(multipart));
  }
}

TEST(Upload, TakesOtherBodiesAsTheFile) {
  Upload upload("application/octet-stream");
  upload.feed("abc");
  const UploadedFile file = upload.finish();
  EXPECT_EQ(file.content, "abc");
  EXPECT_EQ(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Upload, NoticesACutBody) {
  Upload upload("multipart/form-data; boundary=XyZ");
  upload.feed(std::string_view(multipart).substr(0, multipart.size() - 10));
  EXPECT_FALSE(upload.finish().well_formed);
}

TEST(Upload, KeepsNoMoreThanItShould) {
  Upload upload("application/octet-stream");
  const std::string block(1u << 20, 'x');
  for (int i = 0; i < 10; ++i) upload.feed(block);
  const UploadedFile file = upload.finish();
  EXPECT_EQ(file.bytes, 10u << 20);
  EXPECT_EQ(file.content.size(), Upload::kept_bytes_max);
}

}  // namespace
}  // namespace weir::simulator
