#!/usr/bin/env bash
# What a batch costs beside a bare HTTP loop, on a mock endpoint in a process of its own: wall time, CPU time and memory,
# with their targets. Takes about four minutes; arguments go to `sluicegate-bench batch` (see its --help).
set -euo pipefail
cd "$(dirname "$0")/.."
# Apart: together they would share features, and the floor has no TLS.
cargo build --release --locked --quiet -p sluicegate
cargo build --release --locked --quiet -p sluicegate-bench
exec target/release/sluicegate-bench batch "$@"
