#!/usr/bin/env bash
# How well the scheduler uses a tier, keeps its limits and shares it: ./dev bench shaping [seeds [COUNT]]
# Virtual time, so the figures are the same on every machine. Writes docs/shaping-figures.md and docs/shaping.svg, then
# runs 10,000 worlds of the simulation. `seeds` runs worlds only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cmake --build build/release --target shaping_figures >&2
if [[ ${1:-} == seeds ]]; then
  build/release/shaping_figures seeds "${2:-10000}"
else
  build/release/shaping_figures docs
  build/release/shaping_figures seeds
fi
