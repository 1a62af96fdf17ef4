#!/usr/bin/env bash
# A long recording of a busy program: memory of recorder and fold must not grow with time.
#
#   tests/soak.sh [SECONDS]     default 600
#
# "With time" is from a quarter of the way to the end; the first stacks, names and windows cost memory as they should.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-600}
bin=${RUSTSCOPE_BIN_DIR:-target/release}
scratch=$(mktemp -d)
pids=()
finish() {
    [[ ${#pids[@]} == 0 ]] || kill "${pids[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap finish EXIT

"$bin/truth_threads" --seconds $((seconds * 4)) >/dev/null &
target=$!
pids+=("$target")
sleep 1

mkfifo "$scratch/events"
"$bin/rs-rollup" -q -o "$scratch/session.json" <"$scratch/events" &
rollup=$!
"$bin/rs-record" --pid "$target" --duration "${seconds}s" >"$scratch/events" &
recorder=$!
pids+=("$rollup" "$recorder")

rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status" 2>/dev/null || echo 0; }
descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

sleep $((seconds / 4))
recorder_before=$(rss_kib "$recorder") rollup_before=$(rss_kib "$rollup") descriptors_before=$(descriptors "$recorder")
sleep $((seconds * 3 / 4 - 2))
recorder_after=$(rss_kib "$recorder") rollup_after=$(rss_kib "$rollup") descriptors_after=$(descriptors "$recorder")
status=0
wait "$recorder" || status=$?
wait "$rollup" || status=$?
pids=("$target")

kill -0 "$target" || { echo "soak: the target is gone" >&2; exit 1; }
"$bin/rs-schema" validate "$scratch/session.json"
"$bin/rs-export" --text "$scratch/session.json" | tail -n 12
size=$(stat -c %s "$scratch/session.json")
echo "soak: recorder $recorder_before to $recorder_after KiB, $descriptors_before to $descriptors_after descriptors;" \
    "fold $rollup_before to $rollup_after KiB; session $size bytes"
[[ $status == 0 ]] || { echo "soak: exit status $status" >&2; exit 1; }
# A tenth, and 4 MiB for what allocators do.
for pair in "$recorder_before $recorder_after" "$rollup_before $rollup_after"; do
    read -r before after <<<"$pair"
    ((after <= before * 11 / 10 + 4096)) || { echo "soak: memory grows" >&2; exit 1; }
done
((descriptors_after <= descriptors_before)) || { echo "soak: descriptors leak" >&2; exit 1; }
((size <= 50 << 20)) || { echo "soak: the session is too large" >&2; exit 1; }
