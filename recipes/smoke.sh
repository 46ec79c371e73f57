#!/usr/bin/env bash
# The whole chain on the smallest model: train every stage but the diffusion decoder's, draw, edit, ask.
#   recipes/smoke.sh [FOLDER]      default: a temporary one
# STARSTACK names the program; default: the built one of this clone.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
starstack=${STARSTACK:-"node $root/dist/cli/main.js"}
out=${1:-$(mktemp -d)}
recipe=$root/recipes/smoke.yaml

# 15 to 17 s in all on two cores with AVX-512, 0.4 GB at most.
for stage in semantic tokenizer understanding adapter generation instruction; do
  $starstack train "$recipe" --stage "$stage" --out "$out" --threads 2
done
$starstack generate "a photo of two red apples" --model "$out/model" --seed 1 -o "$out/apples.png"
$starstack edit "$out/apples.png" "Make the apples green." --model "$out/model" --seed 1 -o "$out/green.png"
$starstack understand "$out/green.png" "How many apples are there?" --model "$out/model" --max-new-tokens 4
