#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds for it, runs the typed tests on it, measures. Usage: scripts/gpu.sh [results folder]
# Options by environment: SANITIZE=1 also runs compute-sanitizer's memcheck and racecheck over the tests; MINUTES of training, 3.
set -euo pipefail
cd "$(dirname "$0")/.."
trap 'echo "FAILED: scripts/gpu.sh, line $LINENO: $BASH_COMMAND" >&2' ERR
out=${1:-out/gpu}
mkdir -p "$out"

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee "$out/gpu.csv"
date -u +%F | tee "$out/date"
cmake --preset gcc-release -DSFUMATO_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native
cmake --build --preset gcc-release --target test_gpu bench_backends jit
build=build/gcc-release

"$build/tests/test_gpu" | tee "$out/tests.txt"
if [[ "${SANITIZE:-}" == 1 ]]; then
  for tool in memcheck racecheck; do
    compute-sanitizer --tool "$tool" --error-exitcode 1 "$build/tests/test_gpu" 2>&1 | tail -20 | tee "$out/$tool.txt"
  done
fi
"$build/bench/bench_backends" --benchmark_filter=cuda --out="$out" | tee "$out/backends.txt"
for precision in f32 bf16; do
  "$build/examples/jit/jit" train --backend cuda --precision "$precision" --batch 32 --cosine --minutes "${MINUTES:-3}" --out "$out/jit-$precision" --overwrite
  "$build/examples/jit/jit" sample --backend cuda --precision "$precision" --weights "$out/jit-$precision/checkpoint.safetensors" \
    --labels 0,1,2,3,4,5,6,7,8,9 --count 8 --guidance 2.5 --out "$out/jit-$precision.png"
  "$build/examples/jit/jit" evaluate --backend cuda --precision "$precision" --weights "$out/jit-$precision/checkpoint.safetensors" --report "$out/jit-$precision.txt"
done
echo "PASSED: all on this GPU; results in $out"
