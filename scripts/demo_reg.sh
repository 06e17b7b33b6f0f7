#!/usr/bin/env bash
# From a fresh clone to pictures of the whole of REG on Fashion-MNIST: a teacher trained without labels, an autoencoder, its latents and the teacher's tokens,
# a diffusion Transformer with the class token in its sequence, samples. Everything it makes is in out/reg.   Usage: scripts/demo_reg.sh [share of the 21 minutes' training, 1]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/demo_common.sh
demo reg "$@"

"$program" train-vae --perceptual-weights "$perceptual" --minutes "$(minutes 8)" --out "$out/vae" --overwrite
vae=(--vae "$out/vae/checkpoint.safetensors")
"$program" reconstruct "${vae[@]}" --out "$out/reconstructions.png" --report "$out/reconstructions.txt"
"$program" prepare "${vae[@]}" --teacher "$encoder" --out "$out/latents.safetensors"
"$program" train --latents "$out/latents.safetensors" --minutes "$(minutes 8)" --out "$out/diffusion" --overwrite
trained=(--weights "$out/diffusion/checkpoint.safetensors" "${vae[@]}")
"$program" sample "${trained[@]}" --balanced 500 --guidance 2 --class-guidance 2 --out "$out/guided.png" --columns 25 --report "$out/guided.txt"
"$program" sample "${trained[@]}" --balanced 500 --out "$out/unguided.png" --columns 25 --report "$out/unguided.txt"
"$program" sample "${trained[@]}" --count 8 --guidance 2 --class-guidance 2 --out "$out/samples.png"
finish
