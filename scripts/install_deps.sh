#!/usr/bin/env bash
# Installs what the build needs, on Debian and Ubuntu. With --ci also what continuous integration needs.
set -euo pipefail

# package, or package:command where having the command is enough
needed=(g++:g++ cmake:cmake ninja-build:ninja python3:python3 gnuplot-nox:gnuplot
        libeigen3-dev doctest-dev libbenchmark-dev nlohmann-json3-dev libstb-dev libcli11-dev zlib1g-dev
        dataset-fashion-mnist)
case "${1:-}" in
  "") ;;
  --ci) needed+=(clang:clang++ ccache:ccache libomp-dev libclang-rt-14-dev libboost-context-dev) ;;
  *) echo "usage: $0 [--ci]" >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "$0: installs on Debian and Ubuntu only; elsewhere these must be there already: ${needed[*]%%:*}" >&2
  exit 0  # the build names what it misses
fi

installed() { [[ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" == "install ok installed" ]]; }

missing=()
for entry in "${needed[@]}"; do
  package=${entry%%:*}
  if [[ $entry == *:* ]] && command -v "${entry#*:}" >/dev/null; then continue; fi
  installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "everything needed is installed"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo "$0: needs root to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update </dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" </dev/null
