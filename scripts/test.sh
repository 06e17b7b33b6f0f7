#!/usr/bin/env bash
# Builds everything with g++ and runs all tests.   Usage: scripts/test.sh [--ci]: also install what .ci/run needs beyond that
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'echo "FAILED: scripts/test.sh, line $LINENO: $BASH_COMMAND" >&2' ERR

export OMP_WAIT_POLICY=passive  # tests share the cores: threads must not spin while they wait
scripts/install_deps.sh "$@"
cmake --preset gcc-release
cmake --build --preset gcc-release
ctest --preset gcc-release --parallel "$(nproc)"
echo "PASSED: all tests of the preset gcc-release"
