#!/bin/bash
# Discovery against Avahi: its browser sees our announcement, and we find a service that it publishes.
#   discovery_avahi.sh PATH_TO_discovery_probe
# Runs in a network namespace of its own, with a D-Bus and an Avahi daemon of its own; needs root or user namespaces.
set -euo pipefail

if [ -z "${SHOAL_IN_NAMESPACE:-}" ]; then
  probe=$(realpath "$1")
  for program in avahi-daemon avahi-browse avahi-publish dbus-daemon ip unshare; do
    command -v "$program" >/dev/null || { echo "discovery_avahi: $program is missing: install avahi-daemon, avahi-utils, dbus and iproute2"; exit 1; }
  done
  user=()
  [ "$(id -u)" = 0 ] || user=(--user --map-root-user)
  unshare "${user[@]}" --net --mount --pid --fork --kill-child true ||
    { echo "discovery_avahi: no network namespace can be made here: run as root or allow unprivileged user namespaces"; exit 1; }
  # The namespace of processes ends with this script and takes the daemons with it.
  SHOAL_IN_NAMESPACE=1 exec unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$probe"
fi

probe=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "discovery_avahi: $*"; }
# until_true SECONDS COMMAND...: tries again and again until it succeeds.
until_true() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# One interface with a carrier; what is sent to a group on it comes back to every program of this namespace.
ip link set lo up
ip link add shoal0 type veth peer name cable0 2>/dev/null || { say "no veth interfaces here"; exit 1; }
ip address add 10.77.0.1/24 dev shoal0
ip link set shoal0 up
ip link set cable0 up
mount -t tmpfs none /run
mkdir -p /run/dbus /run/avahi-daemon

cat > "$work/dbus.conf" <<CONF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
CONF
cat > "$work/avahi.conf" <<CONF
[server]
host-name=avahi-test
use-ipv6=no
enable-dbus=yes
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
CONF
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket
dbus-daemon --config-file="$work/dbus.conf" --nofork --nopidfile &
until_true 10 test -S /run/dbus/system_bus_socket || { say "dbus-daemon did not start"; exit 1; }
avahi-daemon --file="$work/avahi.conf" --no-drop-root --no-chroot --no-rlimits >"$work/avahi.log" 2>&1 &
until_true 10 avahi-browse -apt || { say "avahi-daemon did not start:"; cat "$work/avahi.log"; exit 1; }

say "Avahi's browser looks for our announcement"
"$probe" announce "Anna's desk" 7420 60 >"$work/id" &
announcer=$!
# Through a file: a grep that leaves a pipe early would end its writer, and pipefail makes a failure of that.
seen() { avahi-browse -rpt _shoal._tcp >"$work/browse"; grep -q '^=.*;_shoal\._tcp;local;shoal-[0-9a-f]*\.local;.*;7420;.*"v=1"' "$work/browse"; }
until_true 15 seen || { say "Avahi did not see it:"; cat "$work/browse" "$work/avahi.log"; exit 1; }
grep -q "id=$(cat "$work/id")" "$work/browse" || { say "the id is missing:"; cat "$work/browse"; exit 1; }
grep -q "^=.*;Anna" "$work/browse" || { say "the name is missing:"; cat "$work/browse"; exit 1; }
kill "$announcer"

say "we look for a service that Avahi publishes"
id=$(printf 'avahi' | sha256sum | cut -d' ' -f1)
avahi-publish -s "Avahi's desk" _shoal._tcp 7421 v=1 "id=$id" &
found() { "$probe" discover 1 >"$work/found"; grep -q "^Avahi's desk $id .*:7421" "$work/found"; }
until_true 15 found || { say "we did not find it:"; cat "$work/found" "$work/avahi.log"; exit 1; }
say "both found: $(cat "$work/found")"
