#!/bin/sh
# Verifies a callback by hand. It needs openssl, od, and the secret in CALLBACK_SECRET.
#
#     sh verify.sh BODY_FILE WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE
#
# Exit status: 0 verified, 1 not verified, 2 verified and seen before. Pass a folder as the fifth
# argument to recognize callbacks that come again: their ids are stored there. The secret is never
# an argument of a program, because other users of the machine could see it. That is why HMAC (RFC
# 2104) is written out here.

body=$1 id=$2 sent_at=$3 signatures=$4 folder=$5

# How long to remember an id: the 60 hours that a batch lives, and a margin. Increase it if batches
# of your service live longer (EXPIRY_HOURS).
remembered_hours=$((60 + 12))

refuse() {
  echo "$1"
  exit 1
}

[ -f "$body" ] && [ -r "$body" ] || refuse "the file with the body cannot be read"
[ -n "$id" ] || refuse "the webhook-id is missing"

case $sent_at in
  0* | *[!0-9]* | '' | ????????????*) refuse "the timestamp is not a number of seconds" ;;
esac
age=$(($(date +%s) - sent_at))
[ "${age#-}" -le 300 ] || refuse "the timestamp is not within five minutes of now"

decoded() {
  printf %s "${CALLBACK_SECRET#whsec_}" | openssl base64 -d -A
}

key=$(decoded | od -An -v -tx1)
bytes=$(printf %s "$key" | wc -w)
[ "$CALLBACK_SECRET" = "whsec_$(decoded | openssl base64 -A)" ] && [ "$bytes" -ge 24 ] &&
  [ "$bytes" -le 64 ] || refuse "CALLBACK_SECRET is not a full secret, whsec_..."

# The key with each byte XOR $1, padded to the 64 bytes of a block.
block() {
  missing=64
  for byte in $key; do
    printf "\\$(printf %03o $((0x$byte ^ $1)))"
    missing=$((missing - 1))
  done
  while [ $missing -gt 0 ]; do
    printf "\\$(printf %03o "$1")"
    missing=$((missing - 1))
  done
}

sha256() {
  openssl dgst -sha256 -binary
}

inner() {
  { block 54; printf '%s.%s.' "$id" "$sent_at"; cat "$body"; } | sha256
}

wanted=v1,$({ block 92; inner; } | sha256 | openssl base64 -A)
[ ${#wanted} -eq 47 ] || refuse "openssl did not compute a signature"

case " $signatures " in
  *" $wanted "*) ;;
  *) refuse "no signature matches: the body, the id or the secret is wrong" ;;
esac

# Exits if the id is known. mkdir is atomic: of two processes at the same time only one succeeds.
remember() {
  oldest=$(($(date +%s) - remembered_hours * 3600))
  for known in "$folder"/*/came_at; do
    [ -s "$known" ] && [ "$(cat "$known")" -lt "$oldest" ] && rm -r "${known%/came_at}"
  done
  case $id in *[!A-Za-z0-9-]*) refuse "the webhook-id is not one of the service's" ;; esac
  mkdir -p "$folder" || exit 1
  if ! mkdir "$folder/$id" 2>/dev/null; then
    echo "verified, and seen before"
    exit 2
  fi
  date +%s >"$folder/$id/came_at"
}

[ -z "$folder" ] || remember
echo "verified"
