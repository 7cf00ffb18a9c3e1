#!/bin/bash
# clang-format (nothing to change) and clang-tidy (nothing to say) over Shoal's own sources.
# What was clean is remembered in the cache by its content and that of the headers it includes, and not read again.
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
# Which of our headers a source includes, as the compiler said when it was built; of one that was not built: all.
includes=$(mktemp)
trap 'rm -f "$includes"' EXIT
ninja -C "$build" -t deps 2>/dev/null |
  awk '/^[^ ]/ { source = "" }
       /^    \.\.\/\.\.\// { path = substr($1, 7); if (source == "") source = path; else print source, path }' >"$includes"
all=$(git ls-files '*.h' | xargs cat | sha256sum)
rules=$( { git ls-files '*.proto' .clang-tidy | xargs cat; clang-tidy --version; } | sha256sum)
export includes all rules
content() { # source: what its findings depend on
  local headers
  mapfile -t headers < <(awk -v source="$1" '$1 == source { print $2 }' "$includes" | sort -u)
  echo "$rules $1"
  if [ ${#headers[@]} -gt 0 ]; then cat "$1" "${headers[@]}" 2>/dev/null; else cat "$1"; echo "$all"; fi
}
tidy() { # source
  local stamp
  stamp=$stamps/$(content "$1" | sha256sum | cut -c1-32)
  [ -f "$stamp" ] && return 0
  clang-tidy --quiet -p "$build" "$1" 2>/dev/null || { echo "lint: clang-tidy has findings in $1" >&2; return 1; }
  : >"$stamp"
}
export -f tidy content
git ls-files 'src/*.cc' 'tools/*.cc' | xargs -P "$(nproc)" -I{} bash -c 'tidy {}'
echo "lint: ${#sources[@]} files clean"
