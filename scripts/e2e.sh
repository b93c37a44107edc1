#!/usr/bin/env bash
# Runs tests/e2e: the official OpenAI client for Node.js against the real daemon, also over scripted
# engines (tests/fake_lane).
# usage: scripts/e2e.sh      TRILANE_BIN: another binary than build/dev's
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/node_packages.sh
export TRILANE_BIN=${TRILANE_BIN:-$PWD/build/dev/src/app/trilane}
export TRILANE_FAKE_LANE=${TRILANE_FAKE_LANE:-$PWD/build/dev/tests/fake_lane/trilane-fake-lane}
export TRILANE_SCHEMA_ANSWERS=${TRILANE_SCHEMA_ANSWERS:-$PWD/build/dev/tests/schema_answers/trilane_schema_answers}
node_packages tests/e2e
cd tests/e2e
# One file at a time: they measure waits, and would measure each other.
exec node --test --test-concurrency=1
