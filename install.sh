#!/usr/bin/env bash
# Builds the kit and installs it for one user: programs, shell completions, man pages.
#
#   ./install.sh [--prefix DIR] [--static]
#
#   --prefix DIR   where to (default ~/.local): DIR/bin, DIR/share/...
#   --static       an rs-record without libraries, which runs on any Linux of this architecture: copy it to a server or
#                  into a container as it is
#
# Needs cargo and a C compiler. Nothing outside DIR and the target directory is touched.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
prefix=${HOME:-}/.local
static=no

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; }
fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [[ $# -gt 0 ]]; do
    case $1 in
    --prefix)
        [[ $# -ge 2 ]] || fail '--prefix needs a directory'
        prefix=$2
        shift
        ;;
    --prefix=*) prefix=${1#*=} ;;
    --static) static=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "unknown option $1"
        ;;
    esac
    shift
done

command -v cargo >/dev/null || fail 'cargo is missing: https://rustup.rs'
command -v cc >/dev/null || fail 'a C compiler (cc) is missing: it links the programs'
# Before the build, which takes minutes.
mkdir -p "$prefix/bin" 2>/dev/null || fail "cannot write to $prefix; choose another place with --prefix DIR"
prefix=$(cd "$prefix" && pwd)
[[ -w $prefix/bin ]] || fail "cannot write to $prefix/bin; choose another place with --prefix DIR"

# The kit is what a bare `cargo build` makes.
mapfile -t tools < <(sed -n '/^default-members/,/]/s|.*"crates/\(.*\)".*|\1|p' "$here/Cargo.toml")
[[ ${#tools[@]} -gt 0 ]] || fail "no programs listed in $here/Cargo.toml"

cd "$here"
target_dir=${CARGO_TARGET_DIR:-target}
packages=()
for tool in "${tools[@]}"; do
    # A static one is built below.
    [[ $static == yes && $tool == rs-record ]] || packages+=(-p "$tool")
done
cargo build --locked --profile dist "${packages[@]}"
built=$target_dir/dist

recorder=$built/rs-record
if [[ $static == yes ]]; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    [[ $host == *-linux-* ]] || fail "--static is for Linux, and this is $host"
    # With a target named, the flags stay away from build scripts and macros, which cannot be static.
    RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
        cargo build --locked --profile dist --target "$host" -p rs-record
    recorder=$target_dir/$host/dist/rs-record
    # musl's ldd and glibc's differ in words.
    ldd "$recorder" 2>&1 | grep -qE 'statically linked|not a dynamic executable|Not a valid dynamic program' ||
        fail "$recorder still needs libraries: $(ldd "$recorder" 2>&1 | head -n 3 | tr '\n' ' ')"
fi

# place FROM TO MODE: whole or not at all, also over a program that is running.
place() {
    mkdir -p "$(dirname "$2")"
    install -m "$3" "$1" "$2.new"
    mv -f "$2.new" "$2"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
share=$prefix/share
for tool in "${tools[@]}"; do
    from=$built/$tool
    [[ $tool == rs-record ]] && from=$recorder
    for what in bash zsh fish man; do
        "$from" --generate "$what" >"$scratch/$what"
    done
    place "$from" "$prefix/bin/$tool" 755
    place "$scratch/bash" "$share/bash-completion/completions/$tool" 644
    place "$scratch/zsh" "$share/zsh/site-functions/_$tool" 644
    place "$scratch/fish" "$share/fish/vendor_completions.d/$tool.fish" 644
    place "$scratch/man" "$share/man/man1/$tool.1" 644
done

echo "installed in $prefix/bin: ${tools[*]}"
[[ $static == no ]] || echo "rs-record is static; it runs alone: scp $prefix/bin/rs-record HOST:"
case :$PATH: in
*":$prefix/bin:"*) ;;
*) echo "not in your PATH yet: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
echo 'next: rs-record doctor; then: rs-record -- ./your-app | rs-export --text'
