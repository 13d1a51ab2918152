// Tells the program that started weir how it is: systemd's protocol, a line by datagram to the socket that
// NOTIFY_SOCKET names. With Type=notify `systemctl start` comes back when calls are taken, and fails when the
// configuration is wrong.
#pragma once

#include <string_view>

namespace weir::app {

// "READY=1", "STOPPING=1". `socket` as in NOTIFY_SOCKET: a path, or '@' and a name that is in no file system; null or
// empty: nobody wants to know. What cannot be delivered is dropped, since nothing follows from it here.
void notify_supervisor(const char* socket, std::string_view state);

}  // namespace weir::app
