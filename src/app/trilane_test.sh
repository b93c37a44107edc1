#!/usr/bin/env bash
# The program as a person meets it: words in, text and exit codes out. Waits for lines and processes,
# never for time. usage: trilane_test.sh TRILANE MODELS_DIR
set -uo pipefail
trilane=$1
export TRILANE_MODELS_DIR=$2
unset TRILANE_ISA TRILANE_API_KEY
dir=$(mktemp -d)
export XDG_STATE_HOME=$dir
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
failed=0

fail() {
    echo "FAILED: $*"
    failed=1
}
# expect NAME WANTED_EXIT_CODE WANTED_TEXT COMMAND...: text somewhere in what it prints; stdin as given
expect() {
    local name=$1 code=$2 text=$3 output rc
    shift 3
    output=$("$@" 2>&1)
    rc=$?
    [ "$rc" -eq "$code" ] || fail "$name: exit code $rc, not $code: $output"
    case "$output" in
        *"$text"*) ;;
        *) fail "$name: '$text' is not in: $output" ;;
    esac
}

# start NAME ARGS...: a daemon in the background; sets pid, and port once it listens
start() {
    local name=$1 line
    shift
    mkfifo "$dir/$name.out"
    "$trilane" serve "$@" >"$dir/$name.out" 2>"$dir/$name.err" &
    pid=$!
    servers+=("$pid")
    # Held open, so that the daemon's later lines have a reader.
    exec {out}<"$dir/$name.out"
    read -r line <&"$out" || fail "$name: ended before it listened: $(cat "$dir/$name.err")"
    port=${line##*:}
    case "$line" in
        "listening on http://127.0.0.1:"*) ;;
        *) fail "$name: first line is '$line'" ;;
    esac
}

# The golden file's tokens, as far as their margins are beyond any arithmetic's noise.
chat="Tell me a short story about a dog and a red ball."
story="Once upon a time, there was a little girl named Lily. She loved to play with her"
for isa in generic avx2 avxvnni avx512; do
    case "$(TRILANE_ISA=$isa "$trilane" version 2>&1)" in
        *"cannot run"*) continue ;;
    esac
    expect "piped prompt on $isa" 0 "$story" \
        env TRILANE_ISA=$isa "$trilane" run --temperature 0 --max-tokens 20 <<<"$chat"
done
answer=$("$trilane" run "$chat" --temperature 0 --max-tokens 20 </dev/null 2>"$dir/quiet")
case "$answer" in
    "$story"*) ;;
    *) fail "prompt argument: '$answer'" ;;
esac
[ ! -s "$dir/quiet" ] || fail "prompt argument: standard error is not empty: $(cat "$dir/quiet")"
one=$("$trilane" run --raw "Once upon a time" --max-tokens 20 --seed 7 </dev/null)
two=$("$trilane" run --raw "Once upon a time" --max-tokens 20 --seed 7 </dev/null)
[ "${one:-nothing}" = "$two" ] || fail "same seed, other answer: '$one' and '$two'"

expect "verbose" 0 "tok/s" "$trilane" run -v --max-tokens 3 "Hello" </dev/null
expect "empty prompt" 1 "trilane: the prompt is empty" "$trilane" run </dev/null
expect "missing model" 1 "trilane: no model or file is called 'missing.gguf'" "$trilane" run missing.gguf hi
expect "prompt too long" 1 "context" "$trilane" run --ctx 16 "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
expect "unknown verb" 2 "See: trilane --help" "$trilane" sing
expect "unknown isa" 2 "TRILANE_ISA" env TRILANE_ISA=mmx "$trilane" version
expect "models" 0 '"trilane-nano"' "$trilane" models --json
expect "models of a folder that is none" 1 "there is no folder nosuch" "$trilane" list nosuch
expect "models of a folder without any" 1 "no model is in $dir" "$trilane" list "$dir"
expect "gguf show" 0 "Trilane runs this file." "$trilane" gguf show trilane-nano
expect "gguf show of something else" 1 "trilane: " "$trilane" gguf show "$0"
expect "token" 0 "5 tokens" "$trilane" token trilane-nano "Once upon a time"
expect "token from a pipe" 0 '"count": 6' "$trilane" token trilane-nano - --json <<<"Once upon a time."
expect "no room for output" 1 "standard output" bash -c '"$1" models >/dev/full' _ "$trilane"

printf 'Once upon a time there was a fox. %.0s' {1..40} >"$dir/text"
expect "ppl" 0 "PPL " "$trilane" ppl trilane-nano "$dir/text" --ctx 64
expect "ppl by llama's definition" 0 '"definition": "llama"' \
    "$trilane" ppl trilane-nano "$dir/text" --ctx 64 --llama --json

# What the configuration says counts for the verbs, too; the words of errors are the reader's tests.
mkdir -p "$dir/srv"
cp "$TRILANE_MODELS_DIR/trilane-nano/trilane-nano-tq2_0.gguf" "$dir/srv/zed.gguf"
printf '[catalog]\ndirectories = ["%s"]\nhub_endpoint = "http://127.0.0.1:9"\n' "$dir/srv" >"$dir/good.toml"
printf '[server]\nprot = 1\n' >"$dir/misspelt.toml"
printf '[lane.ear]\nkind = "whisper-server"\nurl = "http://x"\n' >"$dir/foreign.toml"
expect "models of the configuration" 0 '"zed"' env TRILANE_CONFIG="$dir/good.toml" "$trilane" list --json
expect "plan of such a model" 0 "zed: " env TRILANE_CONFIG="$dir/good.toml" "$trilane" plan zed --device cpu
expect "hub of the configuration" 1 "127.0.0.1:9" \
    env HF_ENDPOINT=http://127.0.0.2:9 TRILANE_CONFIG="$dir/good.toml" "$trilane" pull o/m
expect "a good configuration" 0 "is good" "$trilane" config check "$dir/good.toml"
expect "a misspelt key" 1 "did you mean port?" "$trilane" config check "$dir/misspelt.toml"
expect "a daemon with a misspelt key" 1 "did you mean port?" \
    "$trilane" serve --no-model --config "$dir/misspelt.toml"
expect "a key of another kind" 1 "lanes of kind whisper-server have no url" \
    "$trilane" config check "$dir/foreign.toml"
printf '[lane.gpu]\nkind = "llama-server"\nprogram = "/nosuch/llama-server"\n' >"$dir/no_program.toml"
expect "a lane without a program" 0 "1:1: warning: lane.gpu cannot be used here" \
    "$trilane" config check "$dir/no_program.toml"
printf '[server]\nhost = "0.0.0.0"\nkeys_file = "%s/nosuch.json"\n' "$dir" >"$dir/open.toml"
expect "other machines without a key, by the file" 1 "2:8: error: host 0.0.0.0" \
    "$trilane" config check "$dir/open.toml"
expect "the defaults" 0 "is good" bash -c '"$1" config default >"$2" && "$1" config check "$2"' _ \
    "$trilane" "$dir/defaults.toml"

expect "the settings as JSON" 0 '"hub_endpoint": "http://127.0.0.1:9"' \
    "$trilane" config show "$dir/good.toml" --json
expect "which file, as JSON" 0 "\"file\": \"$dir/good.toml\"" \
    env TRILANE_CONFIG="$dir/good.toml" "$trilane" config path --json
expect "no file, as JSON" 1 "\"$dir/none.toml\"" \
    env TRILANE_CONFIG="$dir/none.toml" "$trilane" config path --json

expect "import as JSON" 0 '"event":"done"' env XDG_DATA_HOME="$dir" \
    "$trilane" import "$dir/srv/zed.gguf" --id mine --json
expect "rm as JSON asks nothing" 1 "give --yes" env XDG_DATA_HOME="$dir" "$trilane" rm mine --json
expect "rm as JSON" 0 '"deleted":"mine"' env XDG_DATA_HOME="$dir" "$trilane" rm mine --yes --json

expect "other machines without a key" 1 "TRILANE_API_KEY" "$trilane" serve --host 0.0.0.0 --port 0

printf '[memory]\nreserve = "900 TiB"\n' >"$dir/no_room.toml"
expect "a model that was named and does not fit" 1 "trilane-nano" \
    "$trilane" serve --port 0 --model trilane-nano --config "$dir/no_room.toml"
start no_room --port 0 --config "$dir/no_room.toml"
grep -q "the bundled model is not loaded: .*; serving without it" "$dir/no_room.err" ||
    fail "no room for the bundled model: no such line in: $(cat "$dir/no_room.err")"
kill "$pid"
wait "$pid" || fail "no room for the bundled model: exit code $?"

printf '[model."*"]\nkeep_warm = "1m"\n' >"$dir/models.toml"
start unasked --port 0 --config "$dir/models.toml"
expect "the bundled model beside models that are configured" 0 "Nothing is loaded." \
    "$trilane" ps --url "http://127.0.0.1:$port"
kill "$pid"
wait "$pid" || fail "a daemon without a model: exit code $?"

printf '[lane.cpu]\nkind = "native"\n[model.nosuch]\npin = true\n' >>"$dir/no_program.toml"
start short --port 0 --config "$dir/no_program.toml"
"$trilane" ps --url "http://127.0.0.1:$port" >/dev/null || fail "ps of a daemon that is short of a lane"
kill "$pid"
wait "$pid" || fail "a daemon that is short of a lane: exit code $?"
for text in '1 of 2 lanes usable: gpu is not: there is no program' 'model."nosuch" is to be pinned'; do
    grep -q "$text" "$dir/short.err" || fail "'$text' is not in: $(cat "$dir/short.err")"
done
! grep -q "lane gpu: lane gpu" "$dir/short.err" || fail "a lane is named twice"

start first --port 0
expect "taken port" 1 "--port" "$trilane" serve --no-model --port "$port" --log-level off
expect "taken port is named" 1 "$port" "$trilane" serve --no-model --port "$port" --log-level off
url=http://127.0.0.1:$port
expect "load as JSON" 0 '"status": "ready"' "$trilane" load trilane-nano --json --url "$url"
expect "unload as JSON" 0 '"status": "unloading"' "$trilane" unload trilane-nano --json --url "$url"
kill -TERM "$pid"
wait "$pid" || fail "SIGTERM: exit code $?"

start keyed --port 0 --no-model --api-key s3cret-key
url=http://127.0.0.1:$port
expect "a verb without a key" 1 "wants a key: set TRILANE_API_KEY" "$trilane" ps --url "$url"
echo s3cret-key >"$dir/key"
expect "a key in a file" 0 "Nothing is loaded." "$trilane" ps --url "$url" --api-key-file "$dir/key"
kill -INT "$pid"
wait "$pid" || fail "SIGINT: exit code $?"
! grep -q s3cret-key "$dir/keyed.err" || fail "the log holds the key"
grep -q "stopped" "$dir/keyed.err" || fail "the log does not say that it stopped"

[ "$failed" -eq 0 ] && echo "all passed"
exit "$failed"
