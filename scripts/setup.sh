#!/usr/bin/env bash
# Installs what Trilane's build needs and this machine lacks, from Debian's or Ubuntu's own packages,
# after saying what. Does nothing, quickly, when nothing is missing.
# usage: scripts/setup.sh [--dev]      --dev: also the tools of lint, fuzz, e2e and oracle
set -euo pipefail

packages=(
    g++ cmake ninja-build ccache pkg-config git
    libssl-dev nlohmann-json3-dev libfmt-dev libspdlog-dev libcli11-dev libexpected-dev
    libpcre2-dev libutf8proc-dev libedit-dev libcurl4-openssl-dev libtomlplusplus-dev
    libsndfile1-dev libsoxr-dev
    libvulkan-dev libsqlite3-dev libgtest-dev libgmock-dev libbenchmark-dev
)
if [ "${1:-}" = --dev ]; then
    packages+=(clang-14 libclang-rt-14-dev clang-tidy-14 clang-format-14 cppcheck
        python3 python3-jinja2)
    # Node.js often comes from elsewhere than the distribution: what counts is the command.
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
fi

# Boost 1.81 or newer: Debian 12 keeps it beside its default 1.74.
boost_is_new_enough() {
    local version
    version=$(sed -n 's/^#define BOOST_VERSION \([0-9]*\).*/\1/p' /usr/include/boost/version.hpp 2>/dev/null)
    [ "${version:-0}" -ge 108100 ]
}
if ! boost_is_new_enough; then
    if (. /etc/os-release && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-0}" = 12 ]); then
        packages+=(libboost1.81-dev)
    else
        packages+=(libboost-dev)
    fi
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: no apt here, so nothing is installed. The build needs what Debian calls:" >&2
    echo "  ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | head -n 1) || true
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "setup: installing ${#missing[@]} packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: this needs root and there is no sudo. As root, run:" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
    # Nobody is there to type a password in CI.
    [ "${CI:-}" = true ] && as_root+=(-n)
fi
as_root+=(env DEBIAN_FRONTEND=noninteractive)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
