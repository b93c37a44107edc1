#!/usr/bin/env bash
# Builds and runs the unit tests under one sanitizer preset: all of them, or the suites that SUITES
# names.
# usage: [SUITES="os net lane"] scripts/sanitize.sh asan|tsan
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: scripts/sanitize.sh asan|tsan}

[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset"
targets=()
only=()
if [ -n "${SUITES:-}" ]; then
    targets=(--target)
    for suite in $SUITES; do
        targets+=("trilane_${suite}_test")
    done
    only=(--tests-regex "^(${SUITES// /|})\$" --no-tests=error)
fi
cmake --build --preset "$preset" --parallel "${JOBS:-$(nproc)}" "${targets[@]}"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1:halt_on_error=1}
ctest --preset "$preset" "${only[@]}"
