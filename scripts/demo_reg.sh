#!/usr/bin/env bash
# From a fresh clone to pictures of the whole of REG on Fashion-MNIST: a teacher trained without labels, an autoencoder, its latents and the teacher's tokens,
# a diffusion Transformer with the class token in its sequence, samples. Everything it makes is in out/reg.   Usage: scripts/demo_reg.sh [share of the 21 minutes' training, 1]
# The autoencoder learns by the features of a classifier of its own; the bundled one, which scores, has no part in it.
set -euo pipefail
cd "$(dirname "$0")/.."
share=${1:-1}
[[ $share =~ ^[0-9]*[.]?[0-9]+$ && ! $share =~ ^[0.]*$ ]] || { echo "$0: expected a share above 0, such as 0.5, found '$share'" >&2; exit 2; }
out=out/reg
minutes() { awk -v m="$1" -v s="$share" 'BEGIN { print m * s }'; }

scripts/install_deps.sh
cmake --preset demo >/dev/null
cmake --build --preset demo --target classifier_train pretrain_encoder reg
reg=build/demo/examples/reg/reg
mkdir -p "$out"
start=$(date +%s)

build/demo/examples/classifier/classifier_train --seed 1 --epochs "$share" --out "$out/perceptual.safetensors"
build/demo/examples/pretrain_encoder/pretrain_encoder --minutes "$(minutes 4)" --out "$out/teacher" --overwrite
"$reg" train-vae --perceptual-weights "$out/perceptual.safetensors" --minutes "$(minutes 8)" --out "$out/vae" --overwrite
vae=(--vae "$out/vae/checkpoint.safetensors")
"$reg" reconstruct "${vae[@]}" --out "$out/reconstructions.png" --report "$out/reconstructions.txt"
"$reg" prepare "${vae[@]}" --teacher "$out/teacher/encoder.safetensors" --out "$out/latents.safetensors"
"$reg" train --latents "$out/latents.safetensors" --minutes "$(minutes 8)" --out "$out/diffusion" --overwrite
trained=(--weights "$out/diffusion/checkpoint.safetensors" "${vae[@]}")
"$reg" sample "${trained[@]}" --balanced 500 --guidance 2 --class-guidance 2 --out "$out/guided.png" --columns 25 --report "$out/guided.txt"
"$reg" sample "${trained[@]}" --balanced 500 --out "$out/unguided.png" --columns 25 --report "$out/unguided.txt"
"$reg" sample "${trained[@]}" --count 8 --guidance 2 --class-guidance 2 --out "$out/samples.png"
echo "whole run after building: $(($(date +%s) - start)) s" | tee "$out/seconds.txt"
echo
echo "The pictures are $out/samples.png (one class per row) and $out/reconstructions.png, the figures in $out/*.txt and $out/teacher/probe.txt."
