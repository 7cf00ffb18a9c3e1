#!/bin/sh
# Installs the Debian packages that Shoal needs and does not find: scripts/setup.sh [build] [test] [npm] [demo-model]
# Asks nothing, changes nothing that is already there, works as root and through sudo. Safe to run again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"

wanted=""
for group in "${@:-build}"; do
  case $group in
    build) wanted="$wanted $APT_BUILD" ;;
    test) wanted="$wanted $APT_BUILD $APT_TEST" ;;
    npm) wanted="$wanted npm" ;;
    demo-model) wanted="$wanted $APT_DEMO_MODEL" ;;
    *) echo "setup.sh: unknown group '$group': use build, test, npm or demo-model" >&2; exit 2 ;;
  esac
done

missing=""
for package in $wanted; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup.sh: this system has no apt-get; install the equivalents of:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup.sh: run as root, or install sudo, to install:$missing" >&2; exit 1; }
  as_root="sudo"
fi

echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A service that a package would start is of no use to a build (and cannot start in a container): policy 101 says no.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
  made_policy=yes
fi
status=0
{ $as_root apt-get update &&
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 || status=$?
[ "$made_policy" = no ] || $as_root rm -f "$policy"
if [ "$status" -ne 0 ]; then
  tail -n 30 "$log" >&2
  echo "setup.sh: apt-get could not install the packages above; the lines before this one say why" >&2
  exit 1
fi
