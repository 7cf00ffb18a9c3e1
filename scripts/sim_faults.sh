#!/bin/bash
# make sim-faults: ten simulated minutes a seed, with every kind of fault (src/sim/faults.h). SEEDS=A:B, B not included;
# arguments go to shoal-sim. A seed that breaks a promise prints the command that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
scripts/llama.sh libs
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build build/release -j "$(nproc)" --target shoal-sim
exec build/release/bin/shoal-sim --faults --seeds "${SEEDS:-1:2001}" "$@"
