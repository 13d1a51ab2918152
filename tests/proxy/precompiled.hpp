// The same for tests of the exchange, whole or in part.
#pragma once

#include "precompiled_net.hpp"
#include "proxy/proxy_support.hpp"
