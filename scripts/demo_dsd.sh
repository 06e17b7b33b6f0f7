#!/usr/bin/env bash
# From a fresh clone to pictures of the whole of DSD on Fashion-MNIST: one network that encodes, denoises and decodes, trained end to end; reconstructions, samples, and what a
# linear classifier finds in its latents. Everything it makes is in out/dsd.   Usage: scripts/demo_dsd.sh [share of the 29 minutes' training, 1]
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/demo_common.sh
demo dsd "$@"

"$program" train --perceptual-weights "$perceptual" --teacher "$encoder" --minutes "$(minutes 24)" --out "$out/model" --overwrite
weights=(--weights "$out/model/checkpoint.safetensors")
"$program" reconstruct "${weights[@]}" --out "$out/reconstructions.png" --report "$out/reconstructions.txt"
"$program" encode "${weights[@]}" --out "$out/latents.safetensors" --probe "$out/probe.txt"
"$program" sample "${weights[@]}" --balanced 500 --guidance 3 --steps 25 --out "$out/guided.png" --columns 25 --report "$out/guided.txt"
"$program" sample "${weights[@]}" --balanced 500 --guidance 3 --steps 25 --by clean --out "$out/guided_clean.png" --columns 25 --report "$out/guided_clean.txt"
"$program" sample "${weights[@]}" --balanced 500 --steps 25 --out "$out/unguided.png" --columns 25 --report "$out/unguided.txt"
"$program" sample "${weights[@]}" --count 8 --guidance 3 --steps 25 --by clean --out "$out/samples.png"
finish
