#!/usr/bin/env bash
# Is the guarantee kept by the real server before a real provider? ./dev bench loopback [seconds]
# 200 connections that always have work, a provider that enforces its limits on a 2-second window and counts for itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec python3 bench/loopback/run.py "$@"
