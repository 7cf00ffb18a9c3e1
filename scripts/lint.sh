#!/bin/bash
# clang-format (nothing to change) and clang-tidy (nothing to say) over Shoal's own sources.
# What was clean is remembered in the cache by its content and that of all headers, and not read again.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/release
cmake --preset release -DSHOAL_TESTS=ON >/dev/null
cmake --build "$build" -j "$(nproc)" --target shoal_proto >/dev/null

mapfile -t sources < <(git ls-files '*.cc' '*.h')
if ! findings=$(clang-format --dry-run -Werror "${sources[@]}" 2>&1); then
  grep -m 5 'error:' <<<"$findings" >&2 || true
  echo "lint: run make format" >&2
  exit 1
fi

export stamps=${SHOAL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal}/lint
export build
mkdir -p "$stamps"
find "$stamps" -type f -mtime +30 -delete
common=$(git ls-files '*.h' '*.proto' .clang-tidy | xargs cat | sha256sum)
export common
tidy() { # source
  local stamp
  stamp=$stamps/$( { echo "$common $1"; cat "$1"; } | sha256sum | cut -c1-32)
  [ -f "$stamp" ] && return 0
  clang-tidy --quiet -p "$build" "$1" 2>/dev/null || { echo "lint: clang-tidy has findings in $1" >&2; return 1; }
  : >"$stamp"
}
export -f tidy
git ls-files 'src/*.cc' 'tools/*.cc' | xargs -P "$(nproc)" -I{} bash -c 'tidy {}'
echo "lint: ${#sources[@]} files clean"
