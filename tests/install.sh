#!/usr/bin/env bash
# The installer into a prefix of its own: everything is there, runs from there, and the static recorder is one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
fail() {
    echo "install.sh: $*" >&2
    exit 1
}

./install.sh --prefix "$prefix" --static
tools=$(sed -n '/^default-members/,/]/s|.*"crates/\(.*\)".*|\1|p' Cargo.toml)
for tool in $tools; do
    version=$("$prefix/bin/$tool" --version)
    [[ $version == "$tool "* ]] || fail "$tool says $version"
    for file in \
        "share/bash-completion/completions/$tool" "share/zsh/site-functions/_$tool" \
        "share/fish/vendor_completions.d/$tool.fish" "share/man/man1/$tool.1"; do
        [[ -s $prefix/$file ]] || fail "no $file"
    done
    bash -n "$prefix/share/bash-completion/completions/$tool"
    grep -q '^\.TH' "$prefix/share/man/man1/$tool.1" || fail "the man page of $tool is none"
done

# From the prefix, with an environment that knows nothing of the checkout.
run() { (cd "$prefix" && env -i PATH="$prefix/bin:/usr/bin:/bin" bash -o pipefail -c "$1"); }
# shellcheck disable=SC2016 # for the inner shells
run 'rs-record -q -- sh -c "i=0; while [ \$i -lt 300000 ]; do i=\$((i+1)); done" | rs-rollup -q -o s.json'
run 'rs-schema validate -q s.json && rs-export --text s.json' | grep -q CRATES || fail 'no report'

# The recorder alone, on a system that has nothing.
ldd "$prefix/bin/rs-record" 2>&1 | grep -qE 'statically linked|not a dynamic executable' || fail 'rs-record is not static'
if [[ $(id -u) == 0 ]]; then
    mkdir -p "$prefix/root/proc" "$prefix/root/tmp"
    cp "$prefix/bin/rs-record" "$prefix/root/"
    chroot "$prefix/root" /rs-record --version | grep -q '^rs-record ' || fail 'rs-record needs something of the system'
fi

# Once more over itself, and without rights to the prefix it says so.
./install.sh --prefix "$prefix" >/dev/null
if ./install.sh --prefix /proc/no-such-place >/dev/null 2>"$prefix/said"; then fail 'took an impossible prefix'; fi
grep -q '/proc/no-such-place' "$prefix/said" || fail 'does not name the prefix'
if ./install.sh --bogus 2>/dev/null; then fail 'took an unknown option'; fi
echo 'installed, run, and removed'
