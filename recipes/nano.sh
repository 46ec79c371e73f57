#!/usr/bin/env bash
# STAR nano from nothing: every stage in order. Each goes on where it was stopped.
#   recipes/nano.sh [FOLDER]       default: out/nano
# Not yet run from the beginning in this order. Speeds are those of single stages on one core with AVX-512 beside another
# training (docs/LOG.md); memory is the process's.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-out/nano}
stage() {
  node "$root/dist/cli/main.js" train "$root/recipes/nano.yaml" --stage "$1" --out "$out" --resume
}

npm --prefix "$root" run --silent build
stage semantic      # the encoder learns what is where, in which colour, style and number; 10 steps a second
stage tokenizer     # pictures to 64 codes and back; 1.6 steps a second, 1 GB
stage understanding # the base learns to read, see and answer; 2.4 steps a second, 1 GB
stage adapter       # codes so that the base can read them; 9 steps a second on two cores
stage generation    # the stack learns to draw on the frozen base; on two cores 4 steps a second
stage autoencoder   # pictures of 128 pixels to latents and back, for the diffusion decoder
stage alignment     # codes to pictures of 128 pixels, in few steps
stage instruction   # and to edit
