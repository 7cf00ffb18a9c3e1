#!/bin/bash
# make bench, make bench-links: builds what is measured, then runs bench/NAME.py (see there). Arguments: NAME, and its own.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
scripts/setup.sh test
scripts/llama.sh tools
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build build/release -j "$(nproc)" --target shoal shoal-make-model shoal-link-shaper
name=$1
shift
exec python3 "bench/$name.py" "$@"
