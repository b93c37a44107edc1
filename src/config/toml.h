// The TOML library as this module uses it: without exceptions, and in as few sources as possible.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
