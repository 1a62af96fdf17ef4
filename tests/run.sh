#!/usr/bin/env bash
# All that a change must pass, in under 20 minutes on two cores from a fresh checkout.
#
#   tests/run.sh          format, lints, documentation, the kit, all tests, the quickstart
#   tests/run.sh --full   also every flavour, more cases, the installer, other platforms, a soak, the peers (hours)
#
# A test that a machine cannot run is skipped, printed and counted.
#   RUSTSCOPE_REQUIRE=perf,root,tmux   makes these skips failures (`all`: every one)
#   RUSTSCOPE_INSTALL=1                as root on Debian: first install what tests would be skipped without (so does CI=…)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=no
for word in "$@"; do
    case $word in
    --full) full=yes ;;
    -h | --help)
        sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
        exit 0
        ;;
    *)
        echo "run.sh: unknown option $word; see --help" >&2
        exit 2
        ;;
    esac
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export RUSTSCOPE_SKIP_LOG=$scratch/skips
: >"$RUSTSCOPE_SKIP_LOG"
passed=0
failed=0
ignored=0
failures=()

# skip WHAT REASON: counted, and a failure where RUSTSCOPE_REQUIRE says so.
skip() {
    echo "SKIP run.sh: $1: $2" | tee -a "$RUSTSCOPE_SKIP_LOG"
    case ,${RUSTSCOPE_REQUIRE:-}, in
    *",$1,"* | *,all,*)
        failed=$((failed + 1))
        failures+=("$1 is required: $2")
        ;;
    esac
}

# step WHAT COMMAND...: runs it, goes on after a failure, and counts: the tests in its output, or itself as one.
step() {
    local what=$1 begin=$SECONDS status=0 log=$scratch/log
    shift
    printf '\n== %s\n' "$what"
    "$@" 2>&1 | tee "$log" || status=$?
    local results
    results=$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored;.*/\1 \2 \3/p' "$log")
    if [[ -n $results ]]; then
        local good bad left
        while read -r good bad left; do
            passed=$((passed + good)) failed=$((failed + bad)) ignored=$((ignored + left))
        done <<<"$results"
    elif [[ $status == 0 ]]; then
        passed=$((passed + 1))
    fi
    if [[ $status != 0 ]]; then
        failures+=("$what")
        local test
        while read -r test; do
            failures+=("  $test")
        done < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
        # Its failed tests are counted already, unless it did not get that far.
        grep -q '^test result: FAILED' "$log" || failed=$((failed + 1))
    fi
    echo "== $what: $([[ $status == 0 ]] && echo ok || echo FAILED), $((SECONDS - begin)) s"
}

# What only makes tests run that would be skipped; each that cannot be had is one line.
install_needs() {
    [[ -n ${CI:-}${RUSTSCOPE_INSTALL:-} && $(id -u) == 0 ]] || return 0
    command -v apt-get >/dev/null || return 0
    local updated=no program package
    for program in perf:linux-perf tmux redis-server redis-benchmark:redis-tools python3 node:nodejs gzip \
        unshare:util-linux zsh fish man:man-db groff shellcheck; do
        package=${program#*:}
        program=${program%:*}
        command -v "$program" >/dev/null && continue
        if [[ $updated == no ]]; then
            apt-get update -qq >/dev/null 2>&1 || true
            updated=yes
        fi
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
            skip "$package" "apt-get cannot install it"
    done
}

documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps --workspace --quiet
}

scripts() {
    shellcheck tests/*.sh examples/*.sh install.sh .ci/run
}

# From another directory, into one that is thrown away.
quickstart() {
    (cd "$scratch" && "$OLDPWD/examples/quickstart.sh" "$scratch/quickstart") &&
        target/release/rs-schema validate "$scratch/quickstart/session.json"
}

other_platforms() {
    local target
    for target in aarch64-unknown-linux-gnu aarch64-apple-darwin; do
        if rustup target list --installed 2>/dev/null | grep -qx "$target"; then
            cargo check --quiet --target "$target" -p rs-schema -p rs-cli -p rs-profile -p rs-symbol -p rs-rollup -p rs-export
        else
            skip "$target" "rustup target add $target"
        fi
    done
}

install_needs

step 'format' cargo fmt --all --check
step 'lints' cargo clippy --workspace --all-targets --quiet -- -D warnings
step 'documentation' documentation
if command -v shellcheck >/dev/null; then
    step 'scripts' scripts
else
    skip shellcheck 'it is not installed'
fi
step 'the kit' cargo build --release --workspace --bins
# Programs take turns at the clock, so tests of time see few neighbours: one test binary after the other, as cargo does.
step 'tests' cargo test --release --workspace --no-fail-fast
step 'quickstart' quickstart

if [[ $full == yes ]]; then
    export RUSTSCOPE_FULL=1
    export PROPTEST_CASES=${PROPTEST_CASES:-20000}
    step 'every flavour' cargo test --release -p rs-tests --no-fail-fast
    step 'properties' cargo test --release -p rs-schema -p rs-cli -p rs-profile -p rs-symbol -p rs-record --no-fail-fast
    step 'installer' tests/install.sh
    step 'other platforms' other_platforms
    step 'soak' tests/soak.sh 600
    if [[ -f benches/peers.py ]] && command -v python3 >/dev/null; then
        step 'peers' python3 benches/peers.py
    else
        skip peers 'no python3'
    fi
fi

# What killed tests left; younger ones may belong to a run beside this one.
[[ ! -d target/tmp ]] || find target/tmp -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} +

skipped=$((ignored + $(wc -l <"$RUSTSCOPE_SKIP_LOG")))
echo
if [[ -s $RUSTSCOPE_SKIP_LOG ]]; then
    echo "skipped:"
    sed 's/^SKIP /  /' "$RUSTSCOPE_SKIP_LOG" | sort | uniq -c | sed 's/^ *1 /  /'
fi
for failure in "${failures[@]+"${failures[@]}"}"; do
    echo "failed: $failure"
done
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed == 0 ]]
