// The TOML library as this module uses it: without exceptions, and in as few sources as possible.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// Some of its assertions say what a file is hoped to hold ("[[[" ends a process that way), and with
// NDEBUG they become promises to the compiler. The checks behind them turn such a file into an
// error, so the assertions are made to say nothing, and NDEBUG is kept from it.
#define TOML_ASSERT(condition) static_cast<void>(0)
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")
