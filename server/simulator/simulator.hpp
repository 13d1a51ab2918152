// The simulated provider as an object: a keep-alive HTTP/1.1 server on threads of its own, behind which sits a model
// that needs no GPU. `weir simulate` runs one; tests and benches embed one on port 0 and ask it afterwards what it saw.
// docs/simulator.md lists the endpoints, the flags and the x-sim-… headers. Never logs, never writes to disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "simulator/options.hpp"
#include "simulator/stats.hpp"

namespace weir::simulator {

class Simulator {
 public:
  // Listens and starts its threads. Throws std::runtime_error when the address cannot be listened on,
  // std::invalid_argument when it is none.
  explicit Simulator(const Options& options);
  ~Simulator();  // stop()
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  std::uint16_t port() const;
  std::string origin() const;  // "http://127.0.0.1:PORT"

  Stats stats() const;  // any thread
  void reset();         // any thread: POST /__reset

  // Ends every connection where it is and joins the threads. Idempotent; from one thread.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::simulator
