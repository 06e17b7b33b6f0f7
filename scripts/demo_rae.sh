#!/usr/bin/env bash
# From a fresh clone to pictures of the whole of RAE on Fashion-MNIST: an encoder trained without labels, its latents' statistics, a decoder,
# diffusion in its tokens, samples. Everything it makes is in out/rae.   Usage: scripts/demo_rae.sh [share of the 29 minutes' training, 1]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/demo_common.sh
demo rae "$@"

"$program" encode-stats --encoder "$encoder" --out "$out/statistics.safetensors"
"$program" train-decoder --encoder "$encoder" --perceptual-weights "$perceptual" --minutes "$(minutes 12)" --out "$out/decoder" --overwrite
"$program" reconstruct --encoder "$encoder" --decoder "$out/decoder/checkpoint.safetensors" --out "$out/reconstructions.png" --report "$out/reconstructions.txt"
"$program" train --encoder "$encoder" --statistics "$out/statistics.safetensors" --minutes "$(minutes 13)" --out "$out/diffusion" --overwrite
trained=(--weights "$out/diffusion/checkpoint.safetensors" --statistics "$out/statistics.safetensors" --decoder "$out/decoder/checkpoint.safetensors")
"$program" sample "${trained[@]}" --balanced 500 --guidance 2 --out "$out/guided.png" --columns 25 --report "$out/guided.txt"
"$program" sample "${trained[@]}" --balanced 500 --out "$out/unguided.png" --columns 25 --report "$out/unguided.txt"
"$program" sample "${trained[@]}" --count 8 --guidance 2 --out "$out/samples.png"
finish
