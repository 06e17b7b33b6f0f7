# Sourced by the demos of whole systems on Fashion-MNIST, with their own arguments.   demo <program> [share of the training, 1]
# Builds the program and trains what it learns by: a classifier's features, and an encoder without labels. The bundled classifier, which scores, has no part in any training.
demo() {
  program=$1 share=${2:-1} out=out/$1
  [[ $share =~ ^[0-9]*[.]?[0-9]+$ && ! $share =~ ^[0.]*$ ]] || { echo "$0: expected a share above 0, such as 0.5, found '$share'" >&2; exit 2; }
  scripts/install_deps.sh
  cmake --preset demo >/dev/null
  cmake --build --preset demo --target classifier_train pretrain_encoder "$program"
  program=build/demo/examples/$program/$program
  mkdir -p "$out"
  start=$(date +%s)
  perceptual=$out/perceptual.safetensors
  encoder=$out/encoder/encoder.safetensors
  build/demo/examples/classifier/classifier_train --seed 1 --epochs "$share" --out "$perceptual"
  build/demo/examples/pretrain_encoder/pretrain_encoder --minutes "$(minutes 4)" --out "$out/encoder" --overwrite
}
# The share of so many.
minutes() { awk -v m="$1" -v s="$share" 'BEGIN { print m * s }'; }
finish() {
  echo "whole run after building: $(($(date +%s) - start)) s" | tee "$out/seconds.txt"
  echo
  echo "The pictures are $out/samples.png (one class per row) and $out/reconstructions.png, the figures in $out/*.txt and $out/encoder/probe.txt."
}
