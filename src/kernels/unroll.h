// TRILANE_UNROLL: the loop that follows is over registers and must disappear. Macro only.
#pragma once

#if defined(__clang__)
#define TRILANE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define TRILANE_UNROLL _Pragma("GCC unroll 32")
#endif
