// One question to the operator listener of a running weir: for the subcommands that look at it, where there is no curl.
// Plain blocking sockets: an event loop would try again where a time-out ends the wait.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "app/address.hpp"
#include "app/config_source.hpp"

namespace weir::app {

struct OperatorAnswer {
  int status = 0;
  std::string body;
};

struct OperatorQuestion {
  std::string path;
  std::string token;  // of operators; empty: none
  std::chrono::milliseconds patience{3000};
};

// GET `path`. `patience` bounds all of it, however slowly the answer comes. A text says in one line why there is none.
std::variant<OperatorAnswer, std::string> ask_operator(const ListenAddress& address, const OperatorQuestion& question);

struct OperatorPlace {
  ListenAddress address;
  std::string token;
  std::string doubt{};  // why that may not be the place: the configuration that should say it does not
};

// Where operators listen, by flag, variable or configuration; a text says what is wrong with that.
std::variant<OperatorPlace, std::string> operator_place(const Overrides& overrides);

}  // namespace weir::app
