#!/usr/bin/env bash
# Runs tests/e2e: the official OpenAI client for Node.js against the real daemon.
# usage: scripts/e2e.sh      TRILANE_BIN: another binary than build/dev's
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/node_packages.sh
export TRILANE_BIN=${TRILANE_BIN:-$PWD/build/dev/src/app/trilane}
node_packages tests/e2e
cd tests/e2e
exec node --test
