# shellcheck shell=bash
# Sourced by the tests that need Node.js: node_packages FOLDER installs what its package-lock.json names.
node_packages() {
    local folder=$1 major
    major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
    if [ "${major:-0}" -lt 20 ]; then
        echo "$folder needs Node.js 20 or newer and this is $(node --version): see https://nodejs.org" >&2
        return 1
    fi
    # npm writes its own copy of the lock last, so an older one means an unfinished or outdated install.
    if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
        echo "installing the Node.js packages of $folder"
        (cd "$folder" && npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error)
        touch "$folder/node_modules/.package-lock.json"
    fi
}
