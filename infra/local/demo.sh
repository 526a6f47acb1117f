#!/usr/bin/env bash
# The whole story once: a hub, a node, a wallet, a scene, a price, a payment, a picture, a payout.
# Starts everything it needs on free ports, leaves the picture and the logs in `demo/`, and ends.
set -euo pipefail

bin="${FRAMEFAIR_BIN:?run this through: make demo}"
here="$(cd "$(dirname "$0")/../.." && pwd)"
out="${DEMO_DIR:-$here/demo}"
port="${DEMO_PORT:-8000}"
rpc_port="${DEMO_RPC_PORT:-8899}"
aws_port="${DEMO_AWS_PORT:-8001}"
hub="http://127.0.0.1:$port"
rpc="http://127.0.0.1:$rpc_port"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() {
  printf '\ndemo: %s\n' "$1" >&2
  [ -f "${2:-}" ] && { echo "the end of $2:" >&2; tail -n 15 "$2" >&2; }
  exit 1
}
pids=()
stop() {
  for pid in "${pids[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap stop EXIT

# Waits until a line of a log says so: wait_for LOG PATTERN SECONDS PID WHAT
wait_for() {
  for _ in $(seq $(($3 * 10))); do
    grep -q "$2" "$1" 2>/dev/null && return
    kill -0 "$4" 2>/dev/null || fail "$5 ended before it was ready" "$1"
    sleep 0.1
  done
  fail "$5 was not ready within $3 seconds" "$1"
}

for port_wanted in "$port" "$rpc_port" "$aws_port"; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port_wanted") 2>/dev/null; then
    fail "port $port_wanted is in use; stop what listens there, or set DEMO_PORT, DEMO_RPC_PORT and DEMO_AWS_PORT"
  fi
done
rm -rf "$out"
mkdir -p "$out/logs" "$out/scenes"

say "1  The hub: faces, workers, relay, table, store, queues and a Solana chain in one process"
"$bin/framefair-local" --data "$out/data" --port "$port" --rpc-port "$rpc_port" \
  --aws-port "$aws_port" --slot-ms 100 >"$out/logs/hub.txt" 2>"$out/logs/hub.log" &
pids+=($!)
blender -b --factory-startup -noaudio -P "$here/tests/scenes/make_scenes.py" \
  -- "$out/scenes" --only demo >"$out/logs/scene.log" 2>&1 &
scene_pid=$!
wait_for "$out/logs/hub.txt" '^ready' 60 "${pids[0]}" "the hub"
cat "$out/logs/hub.txt"

say "2  A node that nobody has to trust: it registers with a signed message and renders in a sandbox"
"$bin/framefair" wallet new "$out/node-wallet.json" >/dev/null
"$bin/framefair" node run --hub "$hub" --wallet "$out/node-wallet.json" --name demo-node \
  --work "$out/work" >"$out/logs/node.log" 2>&1 &
pids+=($!)
wait_for "$out/logs/node.log" '^online' 60 "${pids[1]}" "the node"
cat "$out/logs/node.log"

say "3  A client with a wallet and a scene"
"$bin/framefair" wallet new "$out/wallet.json" >/dev/null
"$bin/framefair" wallet airdrop 1 --wallet "$out/wallet.json" --rpc "$rpc"
wait "$scene_pid" || fail "the scene could not be written" "$out/logs/scene.log"

say "4  The price, the payment, the render"
"$bin/framefair" render "$out/scenes/demo.blend" --frames 1-1 --size 320x180 --yes --hub "$hub" \
  --rpc "$rpc" --wallet "$out/wallet.json" --out "$out" || fail "the render failed" "$out/logs/hub.log"

say "5  The provider is paid once the payment is final"
for _ in $(seq 600); do
  grep -q 'Settled a job' "$out/logs/hub.log" && break
  sleep 0.1
done
"$bin/framefair" wallet balance --wallet "$out/node-wallet.json" --rpc "$rpc"

say "6  The audit: every lamport of escrow, against the chain"
"$bin/framefair-local" audit --data "$out/data" || fail "the audit does not balance" "$out/logs/hub.log"

picture="$out/demo_0001.png"
[ -s "$picture" ] || fail "there is no picture" "$out/logs/hub.log"
# Where there is a screen, show it; a terminal that can draw is left alone.
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then
  xdg-open "$picture" >/dev/null 2>&1 || true
fi
stop
trap - EXIT
echo
echo "picture: $picture"
