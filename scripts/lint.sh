#!/usr/bin/env bash
# Everything that reads the source without running it. Each part says what it found; all parts run.
# usage: scripts/lint.sh
#   TIDY_SECONDS  stop starting new clang-tidy files after so long (default: no limit); what was left
#                 out is said. Files changed against origin/main come first.
#   ALONE_SECONDS the same for compiling each source by itself (default: no limit)
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
jobs=${JOBS:-$(nproc)}
tidy_seconds=${TIDY_SECONDS:-86400}
alone_seconds=${ALONE_SECONDS:-86400}
failed=0
part() {
    local name=$1 from=$SECONDS
    shift
    if "$@"; then
        echo "lint: $name ok ($((SECONDS - from)) s)"
    else
        echo "lint: $name FAILED ($((SECONDS - from)) s)"
        failed=1
    fi
}
sources() { git ls-files --cached --others --exclude-standard "$@" | xargs -r ls -d 2>/dev/null; }

format() { sources '*.h' '*.cpp' | xargs -r clang-format-14 --dry-run --Werror; }

shell() { sources '*.sh' .ci/run | xargs -r -n 1 bash -n; }

# How each source is compiled by itself: the usual build compiles several as one. Configured, not
# built, apart from the one generated header.
separate() {
    mkdir -p build
    cmake --preset lint >build/lint.log 2>&1 &&
        cmake --build build/lint --target trilane_git_revision >>build/lint.log 2>&1 ||
        { cat build/lint.log; return 1; }
}

tidy_order() {
    # clang 14 cannot parse asio's coroutines as g++ compiles them, so those files are left to g++.
    local changed
    changed=$(git diff --name-only "$(git merge-base HEAD origin/main 2>/dev/null || echo HEAD)" -- 'src/*.cpp' 2>/dev/null)
    { echo "$changed"; sources 'src/*.cpp'; } | awk 'NF && !seen[$0]++' |
        grep -v '_test\.cpp$\|_fuzz\.cpp$' | xargs -r grep -L 'boost/asio\|boost/beast\|co_await\|co_return' |
        while read -r file; do grep -q "/$file\"" build/lint/compile_commands.json && echo "$file"; done
}
tidy_one() {
    [ "$(date +%s)" -lt "$TIDY_UNTIL" ] || { echo "$1" >>build/lint/tidy-left-out; return 0; }
    # g++'s own flags mean nothing to clang; its findings do.
    clang-tidy-14 --quiet -p build/lint --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-Wno-ignored-optimization-argument "$1" 2>&1 |
        grep -v '^[0-9]* warnings\? \(generated\|treated\)\|^Suppressed\|^Use -header-filter' || true
    return "${PIPESTATUS[0]}"
}
export -f tidy_one
tidy() {
    rm -f build/lint/tidy-left-out
    TIDY_UNTIL=$(($(date +%s) + tidy_seconds))
    export TIDY_UNTIL
    local rc=0
    tidy_order | xargs -r -P "$jobs" -I '{}' bash -c 'tidy_one "$1"' _ '{}' || rc=1
    [ ! -f build/lint/tidy-left-out ] || echo "lint: no time for clang-tidy on $(wc -l <build/lint/tidy-left-out) files"
    return "$rc"
}

# passedByValue does not see members that are moved out of a parameter; returnStdMoveLocal takes an
# expected's value for the local itself; 1ms is a number that this cppcheck cannot read.
check() {
    cppcheck --project=build/lint/compile_commands.json --file-filter='src/*' \
        --enable=warning,performance,portability --std=c++20 --inline-suppr --quiet -j "$jobs" \
        --suppress='*:*/build/*' --suppress=internalAstError --suppress=unknownMacro \
        --suppress=incorrectStringBooleanError --suppress=passedByValue \
        --suppress=returnStdMoveLocal --suppress=cppcheckError:src/net/ticker_test.cpp \
        --library=googletest --error-exitcode=1
}

part layers scripts/lint_layers.py
part sizes scripts/lint_sizes.py
part shell shell
part format format
part separate separate
part cppcheck check
part alone scripts/lint_alone.py build/lint "$alone_seconds"
part clang-tidy tidy
exit $failed
