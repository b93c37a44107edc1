#!/usr/bin/env bash
# Builds the fuzz preset and lets every libFuzzer target run on its kept corpus, tests/fuzz/<name>.
# Inputs found on the way stay in build/fuzz/found/<name>, crashes in build/fuzz/crashes/.
# usage: SECONDS_EACH=60 scripts/fuzz.sh [name...]      names without "fuzz_"; none = all
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${SECONDS_EACH:-60}
jobs=${JOBS:-$(nproc)}

[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
if [ $# -gt 0 ]; then
    targets=("${@/#/fuzz_}")
else
    mapfile -t targets < <(ninja -C build/fuzz -t targets all | sed -n 's/^\(fuzz_[a-z0-9_]*\): phony.*/\1/p' | sort -u)
fi
[ ${#targets[@]} -gt 0 ] || { echo "fuzz: no targets" >&2; exit 1; }
cmake --build --preset fuzz --parallel "$jobs" --target "${targets[@]}"
mkdir -p build/fuzz/crashes build/fuzz/logs

run_one() {
    local target=$1 name=${1#fuzz_} program
    program=$(find build/fuzz/src -name "$target" -type f -perm -u+x)
    mkdir -p "build/fuzz/found/$name"
    local corpora=("build/fuzz/found/$name")
    [ -d "tests/fuzz/$name" ] && corpora+=("tests/fuzz/$name")
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3072 -verbosity=1 \
        -artifact_prefix="build/fuzz/crashes/$name-" "${corpora[@]}" >"build/fuzz/logs/$name" 2>&1
}

failed=0
pids=()
names=()
settle() {
    for i in "${!pids[@]}"; do
        if wait "${pids[$i]}"; then
            printf 'fuzz: %-24s %s\n' "${names[$i]}" "$(tail -n 1 "build/fuzz/logs/${names[$i]}")"
        else
            failed=1
            printf 'fuzz: %-24s FAILED\n' "${names[$i]}"
            tail -n 40 "build/fuzz/logs/${names[$i]}"
        fi
    done
    pids=()
    names=()
}
for target in "${targets[@]}"; do
    run_one "$target" &
    pids+=($!)
    names+=("${target#fuzz_}")
    [ ${#pids[@]} -lt "$jobs" ] || settle
done
settle
exit $failed
