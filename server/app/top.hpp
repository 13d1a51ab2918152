// `weir top`: who waits and for what, the budgets and the upstreams of a running weir, in a terminal.
#pragma once

#include <string>

#include "app/config_source.hpp"

namespace weir::app {

// What the operator listener answered, as JSON.
struct TopFigures {
  std::string status, queue, budgets, upstreams;
};

// One screen of at most `lines` lines of at most `columns` characters. Pure. Throws std::runtime_error when one of the
// texts is not what a weir answers.
std::string render_top(const TopFigures& figures, std::size_t columns, std::size_t lines);

// Shows it every second until it is interrupted; once only where standard output is no terminal. 0: shown; 1: nobody
// answers; 2: an address that is none.
int run_top(const Overrides& overrides, bool once);

}  // namespace weir::app
