#!/usr/bin/env bash
# What the scheme is worth: variants of one training of equal compute, and their scores.
#   recipes/proof.sh [FOLDER] [VARIANT ...]       default: out/proof, all variants
# Compute is counted in operations of matrix products: two a weight and token forward, as many again for each gradient that is
# taken, of activations or of weights. Four stacked layers on the frozen base for 2,000 steps set the sum; the variants’ steps
# follow from it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
out=${1:-out/proof}
[ $# -gt 0 ] && shift
wanted=" ${*:-all} "
star=(node dist/cli/main.js)
npm run --silent build

is_wanted() { [ "$wanted" = ' all ' ] || [[ "$wanted" = *" $1 "* ]]; }

# variant NAME STEPS [KEY=VALUE ...]
variant() {
  local name=$1 steps=$2 sets=()
  shift 2
  is_wanted "$name" || return 0
  for set in "stages.generation.steps=$steps" "$@"; do sets+=(--set "$set"); done
  "${star[@]}" train recipes/proof.yaml --stage generation --out "$out/$name" --resume "${sets[@]}"
  "${star[@]}" evaluate emoji-geneval --model "$out/$name/model" --limit 20 --images 2 --split seen --seed 100 \
    --validation 0 --json > "$out/$name/geneval.json"
}

variant stacked-4 2000
# Adapter and head alone: gradients go through the frozen base.
variant adapter-and-head 2840 'model.stacks=[0]' stages.generation.train=all
# All weights, the base's too: what it understood is asked after.
variant unfrozen 1250 'stages.generation.train=base too'
if is_wanted unfrozen; then
  "${star[@]}" evaluate emoji-understanding --model "$out/unfrozen/model" --limit 150 --seed 100 --json \
    > "$out/unfrozen/understanding.json"
fi
variant random-start 2000 stages.generation.start=random
variant stacked-1 3640 'model.stacks=[1]'
variant stacked-2 2840 'model.stacks=[2]'
variant stacked-6 1550 'model.stacks=[6]'

for codes in 512 1024 2048 4096 8192 16384; do
  name=codebook-$codes
  is_wanted "$name" || continue
  "${star[@]}" train recipes/proof.yaml --stage tokenizer --out "$out/$name" --resume \
    --set "model={ from: models/nano, codebookSize: $codes }"
  "${star[@]}" evaluate emoji-tokenizer --model "$out/$name/model" --limit 200 --seed 100 --json > "$out/$name/tokenizer.json"
done
