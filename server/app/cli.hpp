// The command line: subcommands and their flags. Exit status: 0 ok, 1 failed at run time, 2 usage or configuration.
#pragma once

namespace weir::app {

int run_command_line(int argc, char** argv);

}  // namespace weir::app
