// Answers that weir gives from what it knows itself, as bytes.
#include "proxy/local_answers.hpp"

#include <gtest/gtest.h>

#include "net/http_proxy.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::proxy {
namespace {

class LocalAnswers : public ::testing::Test {
 protected:
  LocalAnswers() {
    settings.upstreams = {test::upstream_at(1, "ark"), test::upstream_at(2, "deep\"seek")};
    settings.upstreams[1].models.resize(2);
    settings.upstreams[1].models[0].name = "deepseek-chat";
    settings.upstreams[1].models[1].name = "deepseek-*";
    settings.routes = {{"deepseek-r1", {{0, "x", 1}, {1, "y", 1}}, true},
                       {"hidden", {{0, "", 1}}, false},
                       {"deepseek-*", {{1, "", 1}}, true}};
  }
  std::string models() {
    const auto snapshot = make_snapshot(std::make_shared<const Settings>(settings), net::ProxyRules(), nullptr);
    return model_list_json(models_of(*snapshot, client));
  }
  Settings settings;
  ClientKey key;
  Client client;
};

TEST_F(LocalAnswers, ModelsAreMergedWithoutPatternsAndRepeats) {
  EXPECT_EQ(models(), R"({"object":"list","data":[{"id":"deepseek-r1","object":"model","created":0,"owned_by":"ark"},)"
                      R"({"id":"deepseek-chat","object":"model","created":0,"owned_by":"deep\"seek"}]})");
}

TEST_F(LocalAnswers, ModelsAreThoseTheKeyMayUse) {
  client.key = &key;
  key.models = {"*-r1"};
  EXPECT_NE(models().find("deepseek-r1"), std::string::npos);
  EXPECT_EQ(models().find("deepseek-chat"), std::string::npos);
  key.upstreams = {"deep\"seek"};
  EXPECT_NE(models().find(R"("id":"deepseek-r1","object":"model","created":0,"owned_by":"deep\"seek")"),
            std::string::npos)
      << models();
  key.upstreams = {"none"};
  EXPECT_EQ(models(), R"({"object":"list","data":[]})");
}

TEST_F(LocalAnswers, PreflightsAllowWhatSdksSend) {
  const LocalAnswer answer = answer_preflight("http://page", true);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(
      answer.text,
      "HTTP/1.1 204 No Content\r\naccess-control-allow-origin: http://page\r\naccess-control-expose-headers: *\r\n"
      "vary: origin\r\naccess-control-allow-methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
      "access-control-allow-headers: *, authorization\r\naccess-control-max-age: 600\r\n\r\n");
}

TEST_F(LocalAnswers, ToHeadHaveNoBody) {
  const std::string text = write_json_answer(200, "{}", {}, true).text;
  EXPECT_EQ(fit_to_method(text, "GET"), text);
  EXPECT_EQ(fit_to_method(text, "HEAD"), text.substr(0, text.size() - 2));
}

TEST_F(LocalAnswers, SayWhenTheConnectionEnds) {
  const LocalAnswer answer = write_json_answer(422, "{}", "a: b\r\n", false);
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(answer.text,
            "HTTP/1.1 422 Unprocessable Content\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: "
            "close\r\na: b\r\n\r\n{}");
}

}  // namespace
}  // namespace weir::proxy
