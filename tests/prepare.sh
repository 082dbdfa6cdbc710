#!/bin/bash
# prepare.sh: installs what the tests need and this machine lacks, and brings up Asterisk 22 and 16 and
# schemathesis in their caches.
#
# From Debian, with apt: sipp (the carrier), PostgreSQL (a server program; the tests start their own), python3 with venv
# (for schemathesis, and once to make Asterisk start faster), curl (which the examples use). From PyPI, with pip:
# schemathesis, which asks the HTTP API all that its OpenAPI document allows. What is there is left alone; with
# everything there, nothing needs the network.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"

say() { echo "prepare: $*"; }

die() {
    echo "prepare: $*" >&2
    exit 1
}

# The server programs of PostgreSQL are outside PATH on Debian.
has_postgres() { command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_missing() {
    local missing=()
    command -v sipp >/dev/null || missing+=(sip-tester)
    has_postgres || missing+=(postgresql)
    command -v python3 >/dev/null || missing+=(python3)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    command -v curl >/dev/null || missing+=(curl)
    if [ ${#missing[@]} = 0 ]; then
        say "sipp, PostgreSQL, python3 with venv, curl: already here"
        return
    fi

    local hint="please install what offers sipp, PostgreSQL, python3 and curl here, then run this again"
    command -v apt-get >/dev/null || die "missing ${missing[*]}, and this machine has no apt-get: $hint"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "missing ${missing[*]}, and neither root nor sudo: $hint"
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; }
    # The package lists may be stale or, in a fresh container, not there at all.
    if ! install >"$log" 2>&1 && ! { as_root apt-get -q update && install; } >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "apt-get cannot install ${missing[*]}; all it said is in $log"
    fi
    rm -f "$log"
}

bring_up_asterisks() {
    local version pids=()
    for version in 22 16; do
        (root=$(asterisk/up.sh "$version") && say "Asterisk $version: $root") &
        pids+=($!)
    done
    local pid failed=0
    for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
    [ "$failed" = 0 ] || die "no Asterisk for the tests: see above"
}

# The copy of the requirements comes last: without it half a venv is made anew, and so when the pinned versions change.
bring_up_schemathesis() {
    local wanted=schemathesis/requirements.txt cache=schemathesis/.cache
    local venv=$cache/venv log=$cache/pip.log
    if ! cmp -s "$wanted" "$venv/requirements.txt"; then
        rm -rf "$venv"
        mkdir -p "$cache"
        python3 -m venv "$venv" || die "python3 cannot make a venv in $venv"
        "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted" >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2 && die "pip cannot install schemathesis; all it said is in tests/$log"; }
        cp "$wanted" "$venv/requirements.txt"
    fi
    say "$("$venv/bin/schemathesis" --version)"
}

install_missing
bring_up_asterisks
bring_up_schemathesis
