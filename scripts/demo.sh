#!/usr/bin/env bash
# From a fresh clone to pictures: builds the JiT example, trains it on Fashion-MNIST for a few minutes, draws and scores
# samples. Everything it makes is in out/demo.   Usage: scripts/demo.sh [most minutes of training, 6]
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-6}
out=out/demo

scripts/install_deps.sh
start=$(date +%s)
cmake --preset demo >/dev/null
cmake --build --preset demo --target jit
jit=build/demo/examples/jit/jit

mkdir -p "$out"
"$jit" train --steps 8000 --cosine --minutes "$minutes" --out "$out" --overwrite
weights=$out/checkpoint.safetensors
"$jit" sample --weights "$weights" --labels 0,1,2,3,4,5,6,7,8,9 --count 8 --columns 8 --guidance 2.5 --steps 25 --batch 80 --out "$out/samples.png"
"$jit" evaluate --weights "$weights" --guidance 2.5 --steps 25 --per-class 50 --batch 100 --report "$out/report.txt"
echo "whole run after installing: $(($(date +%s) - start)) s" | tee -a "$out/report.txt"
echo
echo "The pictures are in $out/samples.png (one class per row), the loss in $out/loss.png, the scores in $out/report.txt,"
echo "the weights in $weights."
