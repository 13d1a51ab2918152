// The same for the parts of an exchange: they are held together by these two.
#pragma once

#include "net/precompiled.hpp"
#include "proxy/context.hpp"
#include "proxy/session.hpp"
