#!/bin/bash
# weir beside nginx and HAProxy: proxy/run.py says how.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --build build/release --target proxy_origin proxy_load
exec python3 bench/proxy/run.py "$@"
