#!/bin/bash
# make test: all that main must pass, from an empty machine. Ends with one line for people and for CI:
#   shoal: N passed, N failed
# SHOAL_TEST_ONLY="unit e2e asan tsan fuzz lint" picks parts.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
parts=${SHOAL_TEST_ONLY:-"unit e2e asan tsan fuzz lint"}
passed=0
failed=0
failures=""
reports=$(mktemp -d) # what failed parts printed, for the summary
trap 'rm -rf "$reports"' EXIT

count_ctest() { # log: adds CTest's own numbers
  local line total bad
  line=$(grep -E '[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+' "$1" | tail -n 1)
  [ -n "$line" ] || return 1
  total=$(sed -E 's/.* out of ([0-9]+).*/\1/' <<<"$line")
  bad=$(sed -E 's/.*, ([0-9]+) tests failed.*/\1/' <<<"$line")
  passed=$((passed + total - bad))
  failed=$((failed + bad))
}

run() { # name command...
  local name=$1 log start status
  shift
  log=$(mktemp)
  start=$SECONDS
  echo "== $name"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  if ! count_ctest "$log" && [ "$status" -eq 0 ]; then passed=$((passed + 1)); fi
  if [ "$status" -ne 0 ]; then
    failures="$failures $name"
    grep -nE '\(Failed\)|\*\*\*|^(FAIL|ERROR): |Error:|error:|: Failure|SUMMARY: |refused|timed out' "$log" | tail -n 40 >"$reports/$name"
    grep -qE 'tests failed out of' "$log" || failed=$((failed + 1))
  fi
  rm -f "$log"
  echo "== $name: $([ "$status" -eq 0 ] && echo ok || echo FAILED), $((SECONDS - start)) s"
}

for part in $parts; do
  case $part in
    unit | e2e | asan | tsan | fuzz | lint) run "$part" make --no-print-directory "$part" ;;
    *) echo "test.sh: unknown part '$part'" >&2; exit 2 ;;
  esac
done
for part in $failures; do # again at the end: whoever reads only a log's tail learns what broke
  echo "== what failed in $part"
  cat "$reports/$part"
done
[ -z "$failures" ] || echo "failed:$failures"
echo "shoal: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ -z "$failures" ]
