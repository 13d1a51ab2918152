// `weir top`: who waits and for what, the budgets and the upstreams of a running weir, in a terminal.
#pragma once

#include <cstddef>
#include <string>

#include "app/config_source.hpp"

namespace weir::app {

// What the operator listener answered, as JSON.
struct TopFigures {
  std::string status, queue, budgets, upstreams;
};

inline constexpr std::size_t unbounded = static_cast<std::size_t>(-1);

// One screen of at most `lines` lines of at most `columns` characters; unbounded: nothing is cut. Pure. Throws
// std::runtime_error when one of the texts is not what a weir answers.
std::string render_top(const TopFigures& figures, std::size_t columns, std::size_t lines);

// Shows it every second until it is interrupted; once only, and uncut, where standard output is no terminal. 0: shown;
// 1: nobody answers; 2: an address that is none.
int run_top(const Overrides& overrides, bool once);

}  // namespace weir::app
