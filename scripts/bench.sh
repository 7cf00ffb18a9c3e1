#!/bin/bash
# make bench: builds what it measures, then bench/spine.py (see there). Arguments go to it.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
scripts/setup.sh build
command -v python3 >/dev/null || scripts/setup.sh test
scripts/llama.sh tools
cmake --preset release >/dev/null
cmake --build build/release -j "$(nproc)" --target shoal shoal-make-model
exec python3 bench/spine.py "$@"
