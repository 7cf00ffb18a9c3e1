#!/bin/bash
# clang-format (nothing to change) and clang-tidy (nothing to say) over Shoal's own sources.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
build=build/release
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build "$build" -j "$(nproc)" --target shoal_proto
mapfile -t sources < <(git ls-files '*.cc' '*.h')
if ! clang-format --dry-run -Werror "${sources[@]}" 2>/tmp/shoal-format.$$; then
  grep -m 5 error: /tmp/shoal-format.$$ >&2 || true
  rm -f /tmp/shoal-format.$$
  echo "lint: run make format" >&2
  exit 1
fi
rm -f /tmp/shoal-format.$$
# A file that was clean and has not changed, nor any header, is not read again.
stamps=$build/tidy
mkdir -p "$stamps"
headers=$( { git ls-files -s '*.h' '*.proto' .clang-tidy; git diff HEAD -- '*.h' '*.proto' .clang-tidy; } | sha256sum | cut -c1-16)
todo=()
for source in $(git ls-files 'src/*.cc' 'tools/*.cc'); do
  stamp=$stamps/$(echo "$source" | tr / _).$(sha256sum "$source" | cut -c1-16).$headers
  [ -f "$stamp" ] || todo+=("$source")
done
if [ ${#todo[@]} -gt 0 ]; then
  printf '%s\n' "${todo[@]}" | xargs -P "$(nproc)" -I{} sh -c 'clang-tidy --quiet -p '"$build"' "$1" 2>/dev/null || { echo "lint: $1" >&2; exit 255; }' _ {}
  for source in "${todo[@]}"; do
    rm -f "$stamps/$(echo "$source" | tr / _)".*
    : >"$stamps/$(echo "$source" | tr / _).$(sha256sum "$source" | cut -c1-16).$headers"
  done
fi
echo "lint: ${#sources[@]} files clean"
