#!/usr/bin/env bash
# Installs what Framefair needs on a fresh Debian 12 or 13, and nothing that is there already.
#
#   infra/local/install.sh [demo|test|lint]     demo is the default; test and lint include it
#
# Looks for commands, not for packages, so a tool that came from elsewhere counts. Runs as root or
# with sudo. The second run changes nothing and takes a fraction of a second.
set -euo pipefail

purpose=${1:-demo}
case $purpose in
demo | test | lint) ;;
*)
    echo "usage: $0 [demo|test|lint]" >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# `workspace.package.rust-version` is the one place that names the compiler.
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
export PATH="$PATH:$HOME/.cargo/bin"

say() { printf 'install: %s\n' "$*"; }
fail() {
    printf 'install: %s\n' "$@" >&2
    exit 1
}
# What comes over the network may need another try.
again() { "$@" || { sleep 5 && "$@"; } || { sleep 20 && "$@"; }; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "this needs root and there is no sudo; as root, run:" "    $*"
    fi
}

# --- Debian packages ---------------------------------------------------------------------------

packages=()
need() { # need COMMAND PACKAGE WHY
    if ! has "$1" && [[ " ${packages[*]} " != *" $2 "* ]]; then
        say "$2: $3"
        packages+=("$2")
    fi
}

debian_packages() {
    need cc build-essential "compiles the C inside SQLite and zstd, and links Rust programs"
    need make build-essential "runs the Makefile"
    need pkg-config pkg-config "finds system libraries for build scripts"
    need curl curl "fetches rustup; also handy against the running hub"
    need git git "the tree itself"
    need blender blender "renders the frames; about 170 MB"
    need bwrap bubblewrap "shuts every render into a sandbox without network or host files"
    need prlimit util-linux "caps memory, CPU time and file size of a render"
    # Where the pages are there already, a demo has no use for it.
    if [ "$purpose" = test ] || ! infra/docs/fetch.sh --is-done; then
        need npm npm "fetches the pages of the documentation, and packages that tests use"
    fi
    [ -e /etc/ssl/certs/ca-certificates.crt ] || {
        say "ca-certificates: certificates of the package registries"
        packages+=(ca-certificates)
    }
    if [ "$purpose" = test ]; then
        need python3 python3 "runs Python clients of the chain and the template linter"
        # Debian ships Python without what fills a virtual environment.
        if [ ! -x .venv/bin/python ] && ! { has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; }; then
            say "python3-venv: keeps the Python tools inside .venv"
            packages+=(python3-venv)
        fi
        need node nodejs "runs the stock JavaScript client of the chain"
    fi
    [ ${#packages[@]} -gt 0 ] || return 0

    has apt-get || fail "missing: ${packages[*]}" \
        "this script knows Debian only; install them with this system's own package tool"
    # A mirror that drops one connection should not cost a newcomer the whole run: once more.
    apt_install || {
        say "apt failed; once more in 5 seconds"
        sleep 5
        apt_install
    } || fail "apt cannot install what is missing; look at its last lines above, then run:" \
        "    apt-get update && apt-get install --no-install-recommends ${packages[*]}"
}

apt_install() {
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends "${packages[@]}"
}

# --- Rust --------------------------------------------------------------------------------------

rust_is_new_enough() {
    local version
    has cargo && has rustc || return 1
    version=$(rustc --version 2>/dev/null | cut -d' ' -f2)
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$rust_wanted" "${version%%-*}" | sort -V | head -n1)" = "$rust_wanted" ]
}

rust() {
    rust_is_new_enough && return 0
    if has rustup; then
        say "Rust $rust_wanted: this toolchain is older, or none is chosen"
        if ! { rustup toolchain install "$rust_wanted" --profile minimal -c clippy -c rustfmt &&
            rustup override set "$rust_wanted"; }; then
            fail "rustup cannot install Rust $rust_wanted; run: rustup toolchain install $rust_wanted"
        fi
    else
        say "Rust $rust_wanted by rustup, into ~/.cargo and ~/.rustup: compiles Framefair"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --no-modify-path --profile minimal -c clippy -c rustfmt --default-toolchain "$rust_wanted" ||
            fail "rustup could not be fetched; install Rust $rust_wanted or newer as https://rustup.rs says, then run make again"
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    rust_is_new_enough || fail "rustc is still older than $rust_wanted: $(rustc --version 2>&1 || true)" \
        "another rustc stands before ~/.cargo/bin in PATH"
}

components() {
    local missing=()
    has cargo-clippy && cargo clippy --version >/dev/null 2>&1 || missing+=(clippy)
    has rustfmt && rustfmt --version >/dev/null 2>&1 || missing+=(rustfmt)
    [ ${#missing[@]} -gt 0 ] || return 0
    say "${missing[*]}: checks style and finds mistakes"
    if ! { has rustup && rustup component add "${missing[@]}"; }; then
        fail "missing: ${missing[*]}; run: rustup component add ${missing[*]}"
    fi
}

# --- Python tools of the tests -----------------------------------------------------------------

python_tools() {
    # The stamp is a copy of what was installed: any change of the list installs again.
    cmp -s infra/local/requirements.txt .venv/installed.txt && return 0
    say "Python tools of infra/local/requirements.txt, into .venv"
    # Debian's own interpreter first: a version manager's may vanish under the environment.
    local python=/usr/bin/python3
    [ -x "$python" ] && "$python" -c 'import venv, ensurepip' 2>/dev/null || python=python3
    "$python" -m venv --clear .venv ||
        fail "Python cannot make a virtual environment; run: apt-get install python3-venv"
    again .venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r infra/local/requirements.txt ||
        fail "pip failed; run: .venv/bin/pip install --no-deps -r infra/local/requirements.txt"
    cp infra/local/requirements.txt .venv/installed.txt
}

# --- JavaScript clients of the tests ------------------------------------------------------------

javascript_tools() {
    local lock folder
    while read -r lock; do
        folder=$(dirname "$lock")
        cmp -s "$lock" "$folder/node_modules/installed.json" && continue
        say "npm packages of $lock, into $folder/node_modules"
        again npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts --loglevel=error ||
            fail "npm failed; run: npm ci --prefix $folder"
        cp "$lock" "$folder/node_modules/installed.json"
    done < <(find clients functions infra shared tests -name node_modules -prune -o -name package-lock.json -print)
}

debian_packages
rust
infra/docs/fetch.sh || fail "the pages of the documentation could not be fetched"
case $purpose in
test)
    python_tools
    javascript_tools
    ;;
lint) components ;;
esac
