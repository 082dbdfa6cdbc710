#!/bin/bash
# instance.sh make DIR      writes a private instance's directory from asterisk-conf/
# instance.sh run  DIR      becomes that Asterisk, in the foreground: SIGTERM stops it
# instance.sh cli  DIR CMD  one CLI command, through the instance's own control socket
#
# make reads from the environment: VERSION (22 or 16), AMI, HTTP and SIP (ports on 127.0.0.1), CARRIER (host:port),
# SECRET (of the AMI user and of ARI's), WRITE (its privileges, where they are to be others) and TLS (the port of
# encrypted AMI, whose certificate and key are DIR/lib/keys/asterisk.crt and .key; none where it is not set). Of
# asterisk-conf/ only these change, and a value that is not found there is an error: what the tests run is what people
# install.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
conf=$here/../../asterisk-conf
cache=$(realpath -m "${ROTARY_ASTERISK_CACHE:-$here/.cache}")
verb=${1:?make, run or cli} dir=${2:?a directory}
shift 2
etc=$dir/etc
[ "$verb" = make ] || VERSION=$(cat "$dir/version")
root=$cache/asterisk-$VERSION
lib=$root/usr/lib/x86_64-linux-gnu

# Debian autoloads 350 modules; these are what a call needs, and loading them takes a tenth of a second.
modules='res_sorcery_config res_sorcery_memory res_sorcery_astdb res_timing_timerfd res_crypto pbx_config
res_http_websocket res_websocket_client res_stasis res_stasis_answer res_stasis_playback res_stasis_recording
res_stasis_snoop res_ari_model res_ari res_ari_applications res_ari_asterisk res_ari_channels
res_ari_endpoints res_ari_events app_dial app_stack app_verbose app_playback app_userevent app_echo app_exec
func_callerid func_pjsip_endpoint func_channel func_logic func_strings func_global func_timeout res_speech res_agi
res_pjproject res_pjsip res_pjsip_session res_pjsip_pubsub res_pjsip_acl res_pjsip_caller_id res_pjsip_nat
res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user res_pjsip_outbound_authenticator_digest
res_pjsip_header_funcs res_pjsip_rfc3326 res_pjsip_sdp_rtp res_pjsip_dlg_options res_pjsip_logger
chan_pjsip res_rtp_asterisk codec_ulaw codec_alaw format_pcm format_gsm
bridge_simple bridge_softmix bridge_builtin_features'

# change FILE FROM TO: FROM, a whole line of FILE, becomes TO.
change() {
    grep -qFx "$2" "$conf/$1" || { echo "instance.sh: asterisk-conf/$1 has no line \"$2\" to change" >&2 && exit 1; }
    FROM=$2 TO=$3 awk '$0 == ENVIRON["FROM"] { $0 = ENVIRON["TO"] } { print }' "$etc/$1" >"$etc/$1.new"
    mv "$etc/$1.new" "$etc/$1"
}

asterisk() {
    exec "$lib/ld-linux-x86-64.so.2" --library-path "$lib:$root/usr/lib" "$root/usr/sbin/asterisk" -C "$etc/asterisk.conf" "$@"
}

make() {
    [ -e "$root/.ready" ] || { echo "instance.sh: no Asterisk $VERSION in $cache: run tests/prepare.sh" >&2 && exit 1; }
    mkdir -p "$dir"/{etc,run,log,spool,lib/keys}
    echo "$VERSION" >"$dir/version"

    cp "$conf"/{manager,http,ari,pjsip,extensions}.conf "$etc/"
    change manager.conf 'port = 5038' "port = $AMI"
    change manager.conf 'secret = change-me' "secret = $SECRET"
    change manager.conf 'write = originate,call,reporting' "write = ${WRITE:-originate,call,reporting}"
    change http.conf 'bindport = 8088' "bindport = $HTTP"
    change ari.conf 'password = change-me' "password = $SECRET"
    if [ -n "${TLS:-}" ]; then
        change manager.conf ';tlsenable = yes' 'tlsenable = yes'
        change manager.conf ';tlsbindaddr = 127.0.0.1:5039' "tlsbindaddr = 127.0.0.1:$TLS"
        change manager.conf ';tlscertfile = /etc/asterisk/keys/asterisk.crt' "tlscertfile = $dir/lib/keys/asterisk.crt"
        change manager.conf ';tlsprivatekey = /etc/asterisk/keys/asterisk.key' "tlsprivatekey = $dir/lib/keys/asterisk.key"
    fi
    change pjsip.conf 'bind = 0.0.0.0:5060' "bind = 127.0.0.1:$SIP"
    change pjsip.conf 'contact = sip:127.0.0.1:5080' "contact = sip:$CARRIER"

    local found module
    found=$(ls -d "$root"/usr/lib/{,x86_64-linux-gnu/}asterisk/modules 2>/dev/null || true)
    cat >"$etc/asterisk.conf" <<CONF
[directories]
astetcdir => $etc
astmoddir => $found
astvarlibdir => $dir/lib
astdbdir => $dir/lib
astkeydir => $dir/lib
astdatadir => $root/usr/share/asterisk
astagidir => $dir/lib
astspooldir => $dir/spool
astrundir => $dir/run
astlogdir => $dir/log
[options]
nocolor = yes
hideconnect = yes
; Else made of the MAC address, the same for all instances of a machine.
entityid = 02:00:00:00:$(printf '%02x:%02x' $((AMI / 256)) $((AMI % 256)))
CONF
    {
        printf '[modules]\nautoload = no\n'
        for module in $modules; do [ ! -e "$found/$module.so" ] || echo "load = $module.so"; done
    } >"$etc/modules.conf"
    printf '[logfiles]\nmessages => notice,warning,error\n' >"$etc/logger.conf"
    printf '[general]\nrtpstart = 20000\nrtpend = 30000\n' >"$etc/rtp.conf"
    printf '[general]\ncountry = us\n[us]\ndescription = US\nring = 440+480/2000,0/4000\n' >"$etc/indications.conf"
    # Some of these are read at start whether used or not, and their absence is logged as an error.
    local file
    for file in acl websocket_client ccss cdr cel cli codecs dnsmgr dsp enum features udptl cli_permissions pjproject sorcery stasis; do
        : >"$etc/$file.conf"
    done
}

case $verb in
make) make ;;
run) asterisk -f ;;
cli) asterisk -rx "$*" ;;
*) echo "instance.sh: make, run or cli, not $verb" >&2 && exit 2 ;;
esac
