#!/usr/bin/env bash
# Builds everything with g++ and runs all tests; the CUDA backend too where nvcc is.   Usage: scripts/test.sh [--ci]: also install what .ci/run needs beyond that
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'echo "FAILED: scripts/test.sh, line $LINENO: $BASH_COMMAND" >&2' ERR

export OMP_WAIT_POLICY=passive  # tests share the cores: threads must not spin while they wait
scripts/install_deps.sh "$@"
cuda=OFF
if PATH="$PATH:/usr/local/cuda/bin" command -v nvcc >/dev/null; then cuda=ON; else echo "no nvcc: the CUDA backend is not built"; fi
if [[ "${1:-}" == --ci && $cuda == OFF ]]; then echo "$0: --ci needs the CUDA toolkit" >&2; exit 1; fi
cmake --preset gcc-release -DSFUMATO_QUICK_EXAMPLES=ON "-DSFUMATO_CUDA=$cuda" "-DSFUMATO_REQUIRE_CUDA_TESTS=$cuda"
cmake --build --preset gcc-release
ctest --preset gcc-release --parallel "$(nproc)"
echo "PASSED: all tests of the preset gcc-release"
