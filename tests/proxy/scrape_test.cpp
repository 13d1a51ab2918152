// What a scrape of /metrics costs those who are served meanwhile: nothing.
#include <gtest/gtest.h>

#include <future>

#include "proxy/context.hpp"
#include "proxy/proxy_support.hpp"

namespace weir::test {
namespace {

// Jobs for the control thread wait until they are let go.
class Scrape : public ::testing::Test {
 protected:
  Scrape() {
    proxy.on_worker([this](proxy::WorkerContext& context) {
      context.shared.elsewhere = [this](std::function<void()> job) { asked.set_value(std::move(job)); };
    });
  }
  TestProxy proxy{settings_for({})};
  std::promise<std::function<void()>> asked;
};

TEST_F(Scrape, IsWrittenWhileTheWorkerServesOthers) {
  RawClient prometheus(proxy.operators_port()), client(proxy.port());
  prometheus.send(get("/metrics"));
  const std::function<void()> write = asked.get_future().get();
  client.send(get("/healthz"));
  EXPECT_EQ(client.read_response().body, "ok\n");
  write();
  const HttpMessage answer = prometheus.read_response();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_NE(answer.body.find("weir_client_connections 1\n"), std::string::npos);
}

TEST_F(Scrape, MayBeGivenUpBeforeItIsWritten) {
  RawClient prometheus(proxy.operators_port());
  prometheus.send(get("/metrics"));
  const std::function<void()> write = asked.get_future().get();
  prometheus.close();
  ASSERT_TRUE(proxy.wait_sessions(0));
  write();
  EXPECT_EQ(proxy.sessions(), 0u);
}

}  // namespace
}  // namespace weir::test
