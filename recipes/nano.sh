#!/usr/bin/env bash
# STAR nano from nothing: every stage in order. Each goes on where it was stopped.
#   recipes/nano.sh [FOLDER]       default: out/nano
# Not yet run from the beginning in this order: minutes are an estimate, of the recipe's steps at the speed that each stage showed on
# two cores with AVX-512, some beside other work; memory is the process's.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-out/nano}
stage() {
  node "$root/dist/cli/main.js" train "$root/recipes/nano.yaml" --stage "$1" --out "$out" --resume
}

npm --prefix "$root" run --silent build
stage semantic      # the encoder learns what is where, in which colour, style and number; 13 minutes
stage tokenizer     # pictures to 64 codes and back; 64 minutes, 1 GB
stage understanding # the base learns to read, see and answer; 83 minutes, 1 GB
stage adapter       # codes so that the base can read them; 7 minutes
stage generation    # the stack learns to draw on the frozen base; 175 minutes
stage autoencoder   # pictures of 128 pixels to latents and back, for the diffusion decoder; 18 minutes, 1 GB
stage alignment     # codes to pictures of 128 pixels, in one step; 90 minutes
stage instruction   # and to edit; 67 minutes
