#!/usr/bin/env bash
# The first five minutes: builds what is needed, records a program with known problems, and says what was found.
#
#   examples/quickstart.sh [DIR]     keeps stream and session in DIR (default: target/quickstart of the checkout)
#
# Needs cargo and a C compiler; no privileges. Works from any directory.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target_dir=${CARGO_TARGET_DIR:-$here/target}
out=${1:-$target_dir/quickstart}
mkdir -p "$out"
out=$(cd "$out" && pwd)

command -v cargo >/dev/null || { echo 'cargo is missing: https://rustup.rs' >&2; exit 1; }
command -v cc >/dev/null || { echo 'a C compiler (cc) is missing: it links Rust programs' >&2; exit 1; }

# Says a command as one would type it, and runs it.
show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

echo 'Building the kit and a program to profile (a minute or two the first time) ...'
(cd "$here" && cargo build --quiet --release -p rs-record -p rs-rollup -p rs-export -p rs-schema)
(cd "$here" && cargo build --quiet --release -p rustscope-examples --bin stress_demo)
PATH=$target_dir/release:$PATH

cd "$out"
show rs-record -o events.ndjson -- stress_demo
show rs-rollup events.ndjson -o session.json
printf '\n$ rs-export --text session.json\n\n'
rs-export --text session.json | tee report.txt
# The first event in the report, to look closer at.
event=$(awk '/^EVENTS/ { getline; print $1; exit }' report.txt)

if head -n 1 events.ndjson | grep -q '"sampler":null'; then
    cat <<'EOF'

No stack samples could be taken here, so the report has metrics and events only: `rs-record doctor` says why, and the
one command that changes it.
EOF
fi

cat <<EOF

Kept in $out: events.ndjson (what happened, line by line), session.json (the same, counted) and
report.txt (the above).

Next:
  rs-record -- ./your-app | rs-export --text                the same of your program
  rs-record --pid 4242 --duration 30s | rs-export --text    of one that runs
$(printf '  %-55s   what was hot when event %s happened' "rs-export --text --event ${event:=1} session.json" "$event")
  rs-schema validate session.json                           check a file; docs/FORMAT.md tells what is in it
  ./install.sh                                              put the kit into ~/.local

Until then: PATH=$target_dir/release:\$PATH
EOF
