// The executable: nothing but the door to app. The only file that tests do not link.
#include "app/cli.hpp"

int main(int argc, char** argv) {
  return weir::app::run_command_line(argc, argv);
}
