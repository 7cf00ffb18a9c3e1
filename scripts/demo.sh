#!/bin/bash
# make demo: a coordinator and four node processes on loopback, each holding only its layers, and an answer from all of them.
#   scripts/demo.sh BIN_DIRECTORY
# Everything lives in a temporary directory and ends with this script, however it ends.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "$1" && pwd)
shoal=$bin/shoal
prompt=${SHOAL_DEMO_PROMPT:-"What happens when a phone dies?"}

model=${SHOAL_DEMO_MODEL:-$here/models/shoal-demo.gguf}

work=$(mktemp -d "${TMPDIR:-/tmp}/shoal-demo.XXXXXX")
pids=()
cleanup() {
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

state=$work/coordinator
"$shoal" serve --model "$model" --listen 127.0.0.1:0 --cluster 127.0.0.1:0 --state "$state" --name demo --no-mdns \
  --nodes 4 --context 2048 2>"$work/serve.log" &
pids+=($!)
for _ in $(seq 200); do
  [ -f "$state/api.json" ] && break
  kill -0 "${pids[0]}" 2>/dev/null || { cat "$work/serve.log" >&2; exit 1; }
  sleep 0.05
done

for i in 1 2 3 4; do
  link=$("$shoal" token create --state "$state")
  "$shoal" join "$link" --name "phone-$i" --memory 1GiB --threads 1 --listen 127.0.0.1:0 --state "$work/phone-$i" \
    --battery-min 0 --temperature-max 0 --cpu-temperature-max 0 2>"$work/phone-$i.log" &
  pids+=($!)
done

for _ in $(seq 600); do
  "$shoal" status --state "$state" --json 2>/dev/null | grep -q '"state": "serving"' && break
  sleep 0.05
done
"$shoal" status --state "$state"
echo
echo "> $prompt"
"$shoal" chat --state "$state" --temperature 0 --max-tokens 128 --stats "$prompt" 2>"$work/stats"
cat "$work/stats"
if [ -t 0 ] && [ -t 1 ]; then
  echo
  "$shoal" chat --state "$state" --stats
fi
