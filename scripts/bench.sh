#!/bin/bash
# make bench, make bench-full, make bench-spine, make chaos: builds what is measured, then runs bench/NAME.py, or
# tests/chaos/chaos.py (see there). Arguments: NAME, and its own.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
name=${1:?usage: scripts/bench.sh bench|spine|scaling|slower|chaos [arguments]}
shift
scripts/setup.sh test
scripts/llama.sh tools
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build build/release -j "$(nproc)" --target shoal shoal-make-model shoal-link-shaper sched_bench
program=bench/$name.py
[ "$name" != chaos ] || program=tests/chaos/chaos.py
exec python3 "$program" "$@"
