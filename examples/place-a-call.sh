#!/bin/bash
# place-a-call.sh NUMBER STEP
#
# Places a call as a step of a journey, waits until it is over, and prints it as JSON.
#
#   on the control socket   ROTARY_SOCKET=/run/rotary/control.sock examples/place-a-call.sh +14155550123 j_1/n_4
#   on TCP, with a key      ROTARY_URL=http://127.0.0.1:5000 ROTARY_KEY=rk_… examples/place-a-call.sh +14155550123 j_1/n_4
#
# Ends with 0 when the call was placed, however it ended: see its `status`. Otherwise with curl's code, having
# printed what Rotary or curl said. STEP is also the idempotency key, so a step that is run again after a crash or
# a lost answer rings nobody twice: it prints the call it placed before.
set -euo pipefail

to=${1:?the number to call, such as +14155550123}
step=${2:?what this step of the journey is called, such as j_1/n_4}

ask() {
    # --fail-with-body: a refusal ends with 22 and its reason, a JSON problem with a `code`, is printed.
    local options=(--silent --show-error --fail-with-body "$@")
    if [ -n "${ROTARY_KEY:-}" ]; then
        # The key goes in by standard input: everybody on the machine can read arguments.
        curl "${options[@]}" --config - <<<"header = \"Authorization: Bearer $ROTARY_KEY\""
    else
        curl "${options[@]}" --unix-socket "${ROTARY_SOCKET:-/run/rotary/control.sock}"
    fi
}

# `variables` are channel variables in the dialplan; `journey` comes back with the call as it was sent.
ask "${ROTARY_URL:-http://rotary}/api/calls?wait=end" \
    --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $step" \
    --data "{\"to\": \"$to\", \"variables\": {\"JOURNEY\": \"$step\"}, \"journey\": {\"step\": \"$step\"}}"
echo
