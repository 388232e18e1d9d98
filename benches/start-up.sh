#!/usr/bin/env bash
# What a cold `sluicegate run` costs, beside a bare `python3 -c pass`: medians of CPU and wall milliseconds over 21 runs
# each, taken in turn. Target: at most 20 ms of CPU for a flow without Python nodes.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet -p sluicegate
export TIMEFORMAT='%U %S %R'

once() { { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ printf "%.1f %.1f\n", ($1 + $2) * 1000, $3 * 1000 }'; }
median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for _ in $(seq 21); do
  once target/release/sluicegate run entity_extraction --environment_name local >>"$folder/run"
  once target/release/sluicegate run entity_extraction --environment_name local --no-store >>"$folder/no-store"
  once target/release/sluicegate --version >>"$folder/version"
  once python3 -c pass >>"$folder/python"
done
printf '%-28s %10s %10s\n' '' 'CPU ms' 'wall ms'
for what in run no-store version python; do
  printf '%-28s %10s %10s\n' "$what" "$(median "$folder/$what" 1)" "$(median "$folder/$what" 2)"
done
