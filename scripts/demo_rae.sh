#!/usr/bin/env bash
# From a fresh clone to pictures of the whole of RAE on Fashion-MNIST: an encoder trained without labels, its latents' statistics, a decoder,
# diffusion in its tokens, samples. Everything it makes is in out/rae.   Usage: scripts/demo_rae.sh [share of the 29 minutes' training, 1]
# The decoder learns by the features of a classifier of its own; the bundled one, which scores, has no part in it.
set -euo pipefail
cd "$(dirname "$0")/.."
share=${1:-1}
[[ $share =~ ^[0-9]*[.]?[0-9]+$ && ! $share =~ ^[0.]*$ ]] || { echo "$0: expected a share above 0, such as 0.5, found '$share'" >&2; exit 2; }
out=out/rae
minutes() { awk -v m="$1" -v s="$share" 'BEGIN { print m * s }'; }

scripts/install_deps.sh
cmake --preset demo >/dev/null
cmake --build --preset demo --target classifier_train pretrain_encoder rae
rae=build/demo/examples/rae/rae
mkdir -p "$out"
start=$(date +%s)

build/demo/examples/classifier/classifier_train --seed 1 --epochs "$share" --out "$out/perceptual.safetensors"
build/demo/examples/pretrain_encoder/pretrain_encoder --minutes "$(minutes 4)" --out "$out/encoder" --overwrite
encoder=$out/encoder/encoder.safetensors
"$rae" encode-stats --encoder "$encoder" --out "$out/statistics.safetensors"
"$rae" train-decoder --encoder "$encoder" --perceptual-weights "$out/perceptual.safetensors" --minutes "$(minutes 12)" --out "$out/decoder" --overwrite
"$rae" reconstruct --encoder "$encoder" --decoder "$out/decoder/checkpoint.safetensors" --out "$out/reconstructions.png" --report "$out/reconstructions.txt"
"$rae" train --encoder "$encoder" --statistics "$out/statistics.safetensors" --minutes "$(minutes 13)" --out "$out/diffusion" --overwrite
trained=(--weights "$out/diffusion/checkpoint.safetensors" --statistics "$out/statistics.safetensors" --decoder "$out/decoder/checkpoint.safetensors")
"$rae" sample "${trained[@]}" --balanced 500 --guidance 2 --out "$out/guided.png" --columns 25 --report "$out/guided.txt"
"$rae" sample "${trained[@]}" --balanced 500 --out "$out/unguided.png" --columns 25 --report "$out/unguided.txt"
"$rae" sample "${trained[@]}" --count 8 --guidance 2 --out "$out/samples.png"
echo "whole run after building: $(($(date +%s) - start)) s" | tee "$out/seconds.txt"
echo
echo "The pictures are $out/samples.png (one class per row) and $out/reconstructions.png, the figures in $out/*.txt and $out/encoder/probe.txt."
