#!/bin/bash
# up.sh 22|16
#
# Unpacks an Asterisk of that version, with the shared libraries it needs (its own libc among them), from the
# Debian mirror this machine's apt already uses into the cache, and prints where. No root, no chroot, no dpkg
# database, nothing outside the cache touched; instance.sh runs the result through its own dynamic loader.
#
# The cache is tests/asterisk/.cache or $ROTARY_ASTERISK_CACHE. What is there is not fetched again, and two runs
# at once do the work once. Without the network, the .debs that an earlier run kept are enough.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$(realpath -m "${ROTARY_ASTERISK_CACHE:-$here/.cache}")
version=${1:-}

# What Asterisk needs to place SIP calls, of the 160 packages that Debian would install.
packages='asterisk|asterisk-modules|asterisk-config|libc6|libsqlite3-0|libstdc\+\+6|libgcc-s1|libsystemd0|liblzma5|libtinfo6|libzstd1|libbsd0|libmd0|libcrypt1|libedit2|zlib1g|libjansson4|liburiparser1|libuuid1|libgsm1|libcap2|libxslt1\.1'
case $version in
22) suite=sid packages="$packages|libssl[0-9].*|libxml2-[0-9]+" ;;
16) suite=bullseye packages="$packages|libssl1\.1|libxml2|libicu67|liblz4-1|libgcrypt20|libgpg-error0|libpopt0|libsrtp2-1" ;;
*) echo "usage: up.sh 22|16" >&2 && exit 2 ;;
esac
root=$cache/asterisk-$version debs=$cache/asterisk-$version.debs apt=$cache/asterisk-$version.apt

die() {
    echo "up.sh: Asterisk $version: $*" >&2
    exit 1
}

main() {
    mkdir -p "$cache"
    exec 9>"$cache/asterisk-$version.lock"
    flock 9
    if [ ! -e "$root/.ready" ]; then
        [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || die "this recipe is for Debian's amd64 packages"
        [ -e "$debs/.complete" ] || fetch "$packages"
        # Debian may move a library to a package that the list above does not name: then all of them.
        unpack || { rm -f "$debs/.complete" && fetch '.*' && unpack; } || die "does not start: see above"
        touch "$root.new/.ready"
        rm -rf "$root" "$apt"
        mv "$root.new" "$root"
    fi
    echo "$root"
}

# Downloads the packages whose names match $1; apt checks signatures and hashes.
fetch() {
    local mirror wanted=$1 names
    # shellcheck disable=SC2016 # $(REPO_URI) is apt's
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1) || true
    [ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1) || true
    mirror=${mirror:-http://deb.debian.org/debian}
    mkdir -p "$debs" "$apt"/{state/lists/partial,cache/archives/partial,empty}
    : >"$apt/status"
    # A frozen mirror, or a clock that is off, would else make apt refuse an expired index; its signature still counts.
    echo "deb [arch=amd64 check-valid-until=no signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/empty";
Dir::Etc::preferences "$apt/none";
Dir::Etc::preferencesparts "$apt/empty";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "5";
Acquire::Check-Date "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Debug::NoLocking "true";
CONF
    export APT_CONFIG=$apt/apt.conf
    apt-get -q=2 update >&2 || die "apt cannot read $suite from $mirror"
    names=$(apt-get install -y --print-uris asterisk 2>/dev/null |
        sed -n "s/^'[^']*' \([^_ ]*\)_.*/\1/p" | sort -u | grep -Ex "$wanted") || die "$suite has no installable asterisk"
    # shellcheck disable=SC2086
    (cd "$debs" && apt-get -q=2 download $names >&2) || die "apt cannot download from $mirror"
    unset APT_CONFIG
    touch "$debs/.complete"
}

# Unpacks the .debs into $root.new and sees whether Asterisk starts and its modules find their libraries.
unpack() {
    local new=$root.new
    rm -rf "$new"
    mkdir -p "$new"/usr/{bin,sbin,lib,lib64}
    # The merged-/usr links come first, so that packages of either layout land together.
    for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$new/$dir"; done
    for deb in "$debs"/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --no-same-owner --keep-directory-symlink \
            --exclude=./usr/share/{doc,man,locale,lintian}'/*' --exclude=./etc/asterisk
    done

    # bullseye's lib64/ld-linux is an absolute link, so the loader is taken from where both have it.
    local lib=$new/usr/lib/x86_64-linux-gnu
    local loader=("$lib/ld-linux-x86-64.so.2" --library-path "$lib:$new/usr/lib")
    "${loader[@]}" "$new/usr/sbin/asterisk" -V >&2 || return 1
    local module
    for module in chan_pjsip res_pjsip_session res_agi res_ari_channels res_rtp_asterisk pbx_config app_dial; do
        module=$(echo "$new"/usr/lib/{,x86_64-linux-gnu/}asterisk/modules/"$module.so" | tr ' ' '\n' | xargs -n 1 ls 2>/dev/null)
        [ -n "$module" ] || return 1
        if "${loader[@]}" --list "$module" 2>&1 | grep 'not found' >&2; then return 1; fi
    done

    # Asterisk will not start without its XML documentation, and spends a second reading all of it.
    local docs=$new/usr/share/asterisk/documentation/core-en_US.xml
    if python3 "$here/slimdoc.py" "$docs" "$docs.slim"; then mv "$docs.slim" "$docs"; fi
}

main
