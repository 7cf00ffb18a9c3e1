#!/bin/bash
# Runs every fuzz target for FUZZ_SECONDS (default 10) each, beginning with its committed seeds (fuzz/CMakeLists.txt).
# A crash leaves its input under build/fuzz/fuzz/found/TARGET/; repeat it with build/fuzz/bin/TARGET_fuzz INPUT.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset fuzz -DSHOAL_FUZZ_SECONDS="${FUZZ_SECONDS:-10}" >/dev/null
log=build/fuzz/fuzz.log
if ! cmake --build build/fuzz -j "$(nproc)" --target fuzz-run >"$log" 2>&1; then
  tail -n 60 "$log" >&2
  echo "fuzz: failed; the whole log is $log, the inputs are under build/fuzz/fuzz/found/" >&2
  exit 1
fi
echo "fuzz: $(ls fuzz/*_fuzz.cc | wc -l) targets, $(awk '/stat::number_of_executed_units/ {n += $2} END {print n}' "$log") inputs, nothing found"
