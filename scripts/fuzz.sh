#!/bin/bash
# Runs every fuzz target for a while, beginning with its committed corpus: scripts/fuzz.sh [target...]
# A crash leaves its input under build/fuzz/crashes/ and the command that repeats it on the terminal.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
seconds=${FUZZ_SECONDS:-10}
build=build/fuzz
cmake --preset fuzz >/dev/null
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in fuzz/*_fuzz.cc; do targets+=("$(basename "$source" .cc)"); done
fi
cmake --build "$build" -j "$(nproc)" --target "${targets[@]}"
mkdir -p "$build/crashes"
for target in "${targets[@]}"; do
  grown=$build/corpus/$target
  mkdir -p "$grown"
  echo "fuzzing $target for $seconds s"
  if ! "$build/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
    -artifact_prefix="$build/crashes/$target-" "$grown" "fuzz/corpus/${target%_fuzz}"; then
    echo "fuzz: $target failed; repeat it with: $build/bin/$target $build/crashes/$target-*" >&2
    exit 1
  fi
done
echo "fuzz: ${#targets[@]} targets, nothing found"
