#!/usr/bin/env bash
# How well the scheduler uses a tier, keeps its limits and shares it: ./dev bench shaping [seeds [COUNT] | real [SECONDS]]
# Virtual time, so the figures are the same on every machine: writes docs/shaping-figures.md and docs/shaping.svg, then
# runs 10,000 worlds of the simulation. `seeds` runs worlds only. `real` repeats one row with the real programs and
# openai-python, at a fiftieth of the tier: 12 minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

real_row() {
  local seconds=$1 folder=build/shaping python=build/stories/python/bin/python weir=${WEIR_BIN:-build/release/weir}
  unset WEIR_BIN  # weir would warn of it
  [[ -x $python ]] || { echo "no openai-python here: start this as ./dev bench shaping real, which installs it" >&2; exit 1; }
  mkdir -p "$folder"
  cat >"$folder/weir.yaml" <<'YAML'
version: 1
listen: 127.0.0.1:28080
operator: {listen: "127.0.0.1:28081"}
clients: {mode: open}
upstreams:
  - name: sim
    provider: volcengine-ark  # input on arrival, output as it is produced
    base_url: http://127.0.0.1:28092/api/v3
    api_key: any
    limits: {tpm: 100000, rpm: 600}
models:
  - {name: "*", upstreams: [sim]}
start_guard: 0s
YAML
  local port pids=()
  for port in 28091 28092; do
    "$weir" simulate --listen "127.0.0.1:$port" --tpm 100000 --rpm 600 --limiter sliding --charge input-then-output \
      --ttft 800ms --tokens-per-second 50 >"$folder/simulate-$port.log" 2>&1 &
    pids+=($!)
  done
  "$weir" serve --config "$folder/weir.yaml" >"$folder/weir.log" 2>&1 &
  pids+=($!)
  # shellcheck disable=SC2064  # these very processes
  trap "kill ${pids[*]} 2>/dev/null || true" EXIT
  sleep 2
  "$python" bench/shaping/real_row.py http://127.0.0.1:28091/v1 http://127.0.0.1:28091/__stats "$seconds" \
    >"$folder/straight.txt" &
  local straight=$!
  "$python" bench/shaping/real_row.py http://127.0.0.1:28080/v1 http://127.0.0.1:28092/__stats "$seconds" \
    >"$folder/through-weir.txt"
  wait "$straight"
  echo "predicted:"
  build/release/shaping_figures scaled
  echo "for real, straight: $(cat "$folder/straight.txt")"
  echo "for real, weir: $(cat "$folder/through-weir.txt")"
}

cmake --build build/release --target shaping_figures >&2
case ${1:-} in
  seeds) build/release/shaping_figures seeds "${2:-10000}" ;;
  real) real_row "${2:-600}" ;;
  *)
    build/release/shaping_figures docs
    build/release/shaping_figures seeds
    ;;
esac
