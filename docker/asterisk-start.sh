#!/bin/sh
# Fits asterisk-conf/ to the containers, then becomes the command given.
#
# ROTARY_AMI_SECRET: the secret of the AMI user `rotary`.
# ROTARY_AMI_NETWORK: who may use AMI, as address/mask. AMI listens on all of the container's
#   addresses; compose.yml puts only Rotary in that network.
# CARRIER: where calls go, as host:port; without it they go to 127.0.0.1:5080, where nobody is.
set -eu

etc=${ASTERISK_ETC:-/etc/asterisk}

# change FILE FROM TO: FROM, a whole line of FILE, becomes TO; a restart finds it changed already.
change() {
    grep -qFx -e "$2" -e "$3" "$etc/$1" || { echo "asterisk-start: $1 has no line \"$2\"" >&2 && exit 1; }
    FROM=$2 TO=$3 awk '$0 == ENVIRON["FROM"] { $0 = ENVIRON["TO"] } { print }' "$etc/$1" >"$etc/$1.new"
    cat "$etc/$1.new" >"$etc/$1"
    rm "$etc/$1.new"
}

change manager.conf 'bindaddr = 127.0.0.1' 'bindaddr = 0.0.0.0'
change manager.conf 'permit = 127.0.0.1/255.255.255.255' "permit = ${ROTARY_AMI_NETWORK:?the network of Rotary}"
change manager.conf 'secret = change-me' "secret = ${ROTARY_AMI_SECRET:?the secret of the AMI user}"
if [ -n "${CARRIER:-}" ]; then
    change pjsip.conf 'contact = sip:127.0.0.1:5080' "contact = sip:$CARRIER"
    change pjsip.conf 'match = 127.0.0.1' "match = ${CARRIER%:*}"
fi
exec "$@"
