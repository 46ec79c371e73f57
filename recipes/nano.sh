#!/usr/bin/env bash
# STAR nano from nothing: every stage in order. Each goes on where it was stopped.
#   recipes/nano.sh [FOLDER]       default: out/nano
# Minutes are for two cores with AVX-512, memory is the process's peak; see docs/LOG.md for what was measured.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-out/nano}
stage() {
  node "$root/dist/cli/main.js" train "$root/recipes/nano.yaml" --stage "$1" --out "$out" --resume
}

npm --prefix "$root" run --silent build
stage tokenizer     # pictures to 64 codes and back; 1 GB
stage semantic      # the encoder learns what is where
stage understanding # the base learns to read, see and answer; 1 GB
stage generation    # the stack learns to draw on the frozen base
stage instruction   # and to edit
