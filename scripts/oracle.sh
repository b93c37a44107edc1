#!/usr/bin/env bash
# Runs tests/oracle: our greedy tokens beside those of llama.cpp (npm's node-llama-cpp) on synthetic models.
# usage: scripts/oracle.sh [options of oracle.mjs]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/node_packages.sh
node_packages tests/oracle
cd tests/oracle
[ $# -gt 0 ] || node embeddings.mjs
exec node oracle.mjs "$@"
