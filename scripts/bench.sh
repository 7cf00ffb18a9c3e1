#!/bin/bash
# make bench, make bench-full, make bench-spine: builds what is measured, then runs bench/NAME.py (see there). Arguments:
# NAME, and its own.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
name=${1:?usage: scripts/bench.sh bench|spine|scaling [arguments]}
shift
scripts/setup.sh test
scripts/llama.sh tools
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build build/release -j "$(nproc)" --target shoal shoal-make-model shoal-link-shaper sched_bench
exec python3 "bench/$name.py" "$@"
