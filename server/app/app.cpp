#include "app/app.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "app/check.hpp"
#include "app/machine.hpp"
#include "app/restart_needs.hpp"
#include "app/state_file.hpp"
#include "app/supervisor.hpp"
#include "app/units.hpp"
#include "net/listener.hpp"
#include "proxy/budgets.hpp"
#include "proxy/doorkeeper.hpp"
#include "proxy/notices.hpp"
#include "proxy/session.hpp"

namespace weir::app {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// After shutdown has insisted, streams have this long to be told so before the process ends.
constexpr std::chrono::milliseconds insist_max{2000};
constexpr std::chrono::milliseconds poll_every{20};
constexpr std::chrono::milliseconds watch_every{1000};
constexpr std::chrono::seconds notices_every{2};

std::string hex(std::uint64_t value, int digits) {
  std::string out(static_cast<std::size_t>(digits), '0');
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, value >>= 4) *digit = "0123456789abcdef"[value & 15];
  return out;
}

std::uint64_t random_bits() {
  thread_local std::mt19937_64 generator{(std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}()};
  return generator();
}

// req_0123456789abcdef01234567
std::string mint_id() {
  std::array<char, 28> id{'r', 'e', 'q', '_'};
  std::uint64_t bits = 0;
  for (std::size_t i = 4; i < id.size(); ++i, bits >>= 4) {
    if (i == 4 || i == 16) bits = random_bits();
    id[i] = "0123456789abcdef"[bits & 15];
  }
  return {id.data(), id.size()};
}

// Each proxied stream takes two descriptors; the soft limit is 1024 on many systems, the hard one rarely.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

std::uint64_t descriptors_max() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::vector<tcp::endpoint> endpoints_of(const std::vector<ListenAddress>& addresses) {
  std::vector<tcp::endpoint> endpoints;
  for (const auto& [host, port] : addresses) {
    const bool v6 = host.find(':') != std::string::npos;
    const auto parsed = net::parse_listen((v6 ? "[" + host + "]" : host) + ":" + std::to_string(port));
    endpoints.insert(endpoints.end(), parsed.begin(), parsed.end());
  }
  return endpoints;
}

std::string show(const std::vector<tcp::endpoint>& endpoints, std::string_view scheme, std::string_view path) {
  std::string out;
  for (const tcp::endpoint& endpoint : endpoints) {
    const bool v6 = endpoint.address().is_v6();
    const std::string host = endpoint.address().to_string();
    out += (out.empty() ? "" : ", ") + std::string(scheme) + "://" + (v6 ? "[" + host + "]" : host) + ":" +
           std::to_string(endpoint.port()) + std::string(path);
  }
  return out;
}

observe::LogOptions log_options(const LogConfig& config) {
  observe::LogOptions options;
  options.to_stdout = config.stream == LogStream::standard_output;
  const bool terminal = ::isatty(options.to_stdout ? STDOUT_FILENO : STDERR_FILENO) == 1;
  const bool json = config.format == LogFormat::json || (config.format == LogFormat::automatic && !terminal);
  options.format = json ? observe::LogFormat::json : observe::LogFormat::text;
  options.level = config.level;
  return options;
}

// Models that the configuration names, and not by a pattern.
std::vector<std::string> named_models(const proxy::Settings& settings) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (name.find('*') == std::string::npos) names.push_back(name);
  };
  for (const proxy::ModelRoute& route : settings.routes) add(route.pattern);
  for (const proxy::Upstream& upstream : settings.upstreams) {
    for (const proxy::ModelProfile& model : upstream.models) add(model.name);
  }
  return names;
}

proxy::SnapshotPtr snapshot_of(const Loaded& loaded) {
  const ClientTls& tls = loaded.config.clients.tls;
  net::SslContextPtr client_tls;
  if (!tls.certificate.empty()) client_tls = net::make_server_tls(tls.certificate, tls.key);
  return proxy::make_snapshot(loaded.settings, net::ProxyRules::from_environment(), std::move(client_tls));
}

// Longer ago, nothing counts against a limit per minute any more.
admission::Duration window_max(const proxy::Settings& settings) {
  admission::Duration longest{0};
  for (const admission::BudgetLimits& limits :
       proxy::admission_limits(settings, net::Clock::now(), std::chrono::system_clock::now()).budgets)
    longest = std::max(longest, limits.window + limits.guard);
  return longest;
}

bool has_limits(const proxy::Upstream& upstream) {
  return upstream.limits.any() || std::any_of(upstream.models.begin(), upstream.models.end(),
                                              [](const auto& model) { return model.limits.any(); });
}

// A worker thread with what runs on it.
struct WorkerThread {
  net::Worker worker;
  std::unique_ptr<proxy::WorkerContext> context;
  std::vector<std::unique_ptr<net::Listener>> client_listeners, operator_listeners;
  std::atomic<std::size_t> live_sessions{1};  // counted from a shutdown on; until then as if somebody were left
  std::thread thread;
};

class Server {
 public:
  Server(const ServeRequest& request, const Loaded& loaded)
      : request_(request), config_(loaded.config), log_(log_options(config_.log)), shared_(log_) {
    shared_.via = "weir-" + hex(random_bits(), 8);
    shared_.mint_id = mint_id;
    shared_.reload = [this](auto done) { asio::post(control_, [this, done] { done(reload()); }); };
    shared_.elsewhere = [this](auto job) { asio::post(control_, std::move(job)); };
    adopt(loaded.settings);
    recall_budgets(*loaded.settings);
    start_workers(snapshot_of(loaded));
    for (const std::string& warning : loaded.warnings) log_.warn(warning);
    const std::string shortage = descriptor_shortage(descriptors_max(), config_.limits.connections_max);
    if (!shortage.empty()) log_.warn(shortage);
    const std::string_view scheme = config_.clients.tls.certificate.empty() ? "http" : "https";
    std::istringstream lines(start_summary(loaded));
    for (std::string line; std::getline(lines, line);) log_.info(line);
    log_.info("weir " WEIR_VERSION " listens on " + show(client_endpoints_, scheme, "/v1") + "; operators on " +
              show(operator_endpoints_, "http", "/weir/") + "; " + std::to_string(workers_.size()) + " worker(s)");
  }

  ~Server() {
    stop_workers();
    shared_.gate.stop();  // its timer posts to workers
    if (state_file_) state_file_->write(StateFile::Occasion::end);
    log_.info("stopped");
  }

  void run() {
    wait_for_signal();
    keep_state();
    if (request_.watch) watch_file();
    tell_notices();
    notify_supervisor(std::getenv("NOTIFY_SOCKET"), "READY=1");
    control_.run();
  }

 private:
  // Limits count from before this process began: as the file has it, else as if they were used up for a while.
  void recall_budgets(const proxy::Settings& settings) {
    if (!config_.state_file.empty()) state_file_.emplace(config_.state_file, shared_.gate, log_);
    if (state_file_ && state_file_->restore(window_max(settings), std::chrono::system_clock::now())) return;
    if (config_.start_guard == Duration::zero()) return;
    shared_.gate.assume_spent(config_.start_guard);
    const bool limited = std::any_of(settings.upstreams.begin(), settings.upstreams.end(), has_limits);
    if (!limited) return;
    log_.info("start_guard: the limits of upstreams count as used up for " + format_duration(config_.start_guard) +
              ", so first calls may wait; what was sent before is not known" +
              (state_file_ ? "" : " (state_file keeps it)"));
  }

  void keep_state() {
    if (!state_file_) return;
    state_file_->write(StateFile::Occasion::running);
    state_timer_.expires_after(state_every);
    state_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) keep_state();
    });
  }

  void tell_notices() {
    for (const proxy::Notice& notice : notices_.look(*settings_, shared_.health, shared_.gate, net::Clock::now())) {
      notice.warning ? log_.warn(notice.text) : log_.info(notice.text);
    }
    notice_timer_.expires_after(notices_every);
    notice_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) tell_notices();
    });
  }

  void start_workers(const proxy::SnapshotPtr& snapshot) {
    client_endpoints_ = claim(config_.listen, "--listen (WEIR_LISTEN)");
    operator_endpoints_ = claim(config_.operators.listen, "--operator-listen (WEIR_OPERATOR_LISTEN)");
    const unsigned count = config_.workers.value_or(1);
    for (unsigned i = 0; i < count; ++i) {
      WorkerThread& thread = *workers_.emplace_back(std::make_unique<WorkerThread>());
      thread.context = std::make_unique<proxy::WorkerContext>(thread.worker, shared_, snapshot);
      shared_.workers.push_back(thread.context.get());
      listen(thread, client_endpoints_, proxy::Door::clients, thread.client_listeners);
      if (i == 0) listen(thread, operator_endpoints_, proxy::Door::operators, thread.operator_listeners);
    }
    for (auto& thread : workers_) {
      thread->thread = std::thread([&thread = *thread] {
        const auto guard = asio::make_work_guard(thread.worker.io());
        thread.worker.run();
      });
    }
  }

  static std::vector<tcp::endpoint> claim(const std::vector<ListenAddress>& addresses, const std::string& flag) {
    try {
      return net::claim(endpoints_of(addresses));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(std::string(error.what()) + "; choose another address with " + flag);
    }
  }

  void listen(WorkerThread& thread, const std::vector<tcp::endpoint>& endpoints, proxy::Door door,
              std::vector<std::unique_ptr<net::Listener>>& listeners) {
    proxy::WorkerContext& context = *thread.context;
    for (const tcp::endpoint& endpoint : endpoints) {
      listeners.push_back(std::make_unique<net::Listener>(
          thread.worker, endpoint,
          [this, &context, door](net::Socket socket) { doorkeeper_.take(context, std::move(socket), door); },
          [this](const std::string& why) { doorkeeper_.not_accepted(why); }));
      listeners.back()->start();
    }
  }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) return;
      if (number == SIGHUP) {
        reload();
      } else if (!stopping_) {
        begin_shutdown();
      } else {
        log_.warn("second signal: ending now");
        insist();
      }
      wait_for_signal();
    });
  }

  // What of the settings is the whole process's.
  void adopt(std::shared_ptr<const proxy::Settings> settings) {
    shared_.gate.reconfigure(*settings);
    shared_.metrics.know_models(named_models(*settings));
    settings_ = std::move(settings);
  }

  // Nothing when the new settings are in force; else what is wrong, and nothing has changed.
  std::optional<std::string> reload() {
    std::string problem;
    try {
      auto result = request_.source.load();
      if (auto* loaded = std::get_if<Loaded>(&result)) {
        const proxy::SnapshotPtr snapshot = snapshot_of(*loaded);
        adopt(loaded->settings);
        for (auto& thread : workers_) {
          thread->worker.post([&thread = *thread, snapshot] { thread.context->snapshot = snapshot; });
        }
        log_.set_level(loaded->config.log.level);
        for (const std::string& warning : loaded->warnings) log_.warn(warning);
        shared_.metrics.reloaded(true);
        log_.info("configuration reloaded; calls under way finish under the old one");
        std::string left;
        for (const std::string& name : needs_restart(config_, loaded->config))
          left += (left.empty() ? "" : ", ") + name;
        if (!left.empty()) log_.warn("what was changed of these holds after a restart only: " + left);
        return std::nullopt;
      }
      problem = to_string(std::get<Problems>(result));
      problem.pop_back();  // the end of the last line: this goes into a log line and a JSON text
    } catch (const std::exception& error) {
      problem = error.what();
    }
    shared_.metrics.reloaded(false);
    log_.error("configuration not reloaded, the old one stays in force: " + problem);
    return problem;
  }

  // A change of the file's time or identity (a ConfigMap is swapped by symlink) is a reload.
  void watch_file() {
    namespace fs = std::filesystem;
    std::error_code missing;
    const fs::path file = fs::canonical(request_.source.path(), missing);
    const auto stamp = std::make_pair(file, missing ? fs::file_time_type{} : fs::last_write_time(file, missing));
    if (watched_ && *watched_ != stamp && !missing) reload();
    if (!missing) watched_ = stamp;
    watch_timer_.expires_after(watch_every);
    watch_timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !stopping_) watch_file();
    });
  }

  void begin_shutdown() {
    stopping_ = true;
    watch_timer_.cancel();
    shared_.announcing = true;
    notify_supervisor(std::getenv("NOTIFY_SOCKET"), "STOPPING=1");
    log_.info("stopping: no new connections after " + std::to_string(config_.shutdown.announce.count()) +
              " ms, streams have " + std::to_string(config_.shutdown.drain.count() / 1000) + " s to finish");
    after(config_.shutdown.announce, [this] { drain(); });
  }

  void drain() {
    shared_.draining = true;
    for (auto& thread : workers_) {
      thread->worker.post([&thread = *thread] {
        for (auto& listener : thread.client_listeners) listener->stop();
        thread.context->pool.close_idle();
        proxy::ring_sessions(*thread.context, proxy::Session::stop);
      });
    }
    ends_at_ = net::Clock::now() + config_.shutdown.drain;
    poll();
  }

  void insist() {
    if (insisted_) return control_.stop();
    insisted_ = true;
    shared_.announcing = shared_.draining = true;
    for (auto& thread : workers_) {
      thread->worker.post([&thread = *thread] {
        for (auto& listener : thread.client_listeners) listener->stop();
        for (auto& listener : thread.operator_listeners) listener->stop();
        proxy::ring_sessions(*thread.context, proxy::Session::insist);
      });
    }
    ends_at_ = net::Clock::now() + insist_max;
    poll();
  }

  // Until the last session is gone, or time is up.
  void poll() {
    std::size_t live = 0;
    for (auto& thread : workers_) {
      thread->worker.post([&thread = *thread] { thread.live_sessions = thread.context->sessions.size(); });
      live += thread->live_sessions;
    }
    if (live == 0) return control_.stop();
    if (net::Clock::now() >= ends_at_) {
      if (insisted_) return control_.stop();
      log_.warn(std::to_string(live) + " connection(s) not finished in time: ending them");
      return insist();
    }
    after(poll_every, [this] { poll(); });
  }

  template <class Job>
  void after(std::chrono::milliseconds delay, Job job) {
    timer_.expires_after(delay);
    timer_.async_wait([job](const boost::system::error_code& error) {
      if (!error) job();
    });
  }

  void stop_workers() {
    for (auto& thread : workers_) {
      thread->worker.io().stop();
      if (thread->thread.joinable()) thread->thread.join();
    }
  }

  const ServeRequest& request_;
  Config config_;
  observe::Log log_;
  proxy::Shared shared_;
  proxy::Doorkeeper doorkeeper_{shared_, config_.limits.connections_max};
  asio::io_context control_{1};
  asio::signal_set signals_{control_, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer timer_{control_}, watch_timer_{control_}, state_timer_{control_}, notice_timer_{control_};
  std::optional<StateFile> state_file_;
  std::shared_ptr<const proxy::Settings> settings_;
  proxy::Notices notices_;
  std::optional<std::pair<std::filesystem::path, std::filesystem::file_time_type>> watched_;
  std::vector<tcp::endpoint> client_endpoints_, operator_endpoints_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  net::Instant ends_at_{};
  bool stopping_ = false, insisted_ = false;
};

}  // namespace

int serve(const ServeRequest& request) {
  auto result = request.source.load();
  if (const auto* problems = std::get_if<Problems>(&result)) {
    std::cerr << to_string(*problems);
    return 2;
  }
  const Config& config = std::get<Loaded>(result).config;
  if (const std::string fault = state_file_fault(config.state_file); !fault.empty()) {
    std::cerr << to_string(Problems{{config.state_file_place, "state_file: " + fault}});
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes with write(2)
  raise_descriptor_limit();
  try {
    Server server(request, std::get<Loaded>(result));
    server.run();
  } catch (const std::exception& error) {
    std::cerr << "weir: " << error.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace weir::app
