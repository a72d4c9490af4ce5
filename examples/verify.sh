#!/bin/sh
# Verifies a callback by hand. Needs openssl, od and the secret in CALLBACK_SECRET.
#
#     sh verify.sh BODY_FILE WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE
#
# Exit status: 0 verified, 1 not. The secret is in no argument of any program, where other users of
# the machine could see it: that is why HMAC (RFC 2104) is written out here.

body=$1 id=$2 sent_at=$3 signatures=$4

refuse() {
  echo "$1"
  exit 1
}

[ -f "$body" ] && [ -r "$body" ] || refuse "the file with the body cannot be read"
[ -n "$id" ] || refuse "there is no webhook-id"

case $sent_at in
  0* | *[!0-9]* | '' | ????????????*) refuse "the timestamp is no number of seconds" ;;
esac
age=$(($(date +%s) - sent_at))
[ "${age#-}" -le 300 ] || refuse "the timestamp is not within five minutes of now"

decoded() {
  printf %s "${CALLBACK_SECRET#whsec_}" | openssl base64 -d -A
}

key=$(decoded | od -An -v -tx1)
bytes=$(printf %s "$key" | wc -w)
[ "$CALLBACK_SECRET" = "whsec_$(decoded | openssl base64 -A)" ] && [ "$bytes" -ge 24 ] &&
  [ "$bytes" -le 64 ] || refuse "CALLBACK_SECRET is no whole secret, whsec_..."

# The key, each byte XOR $1, filled up to the 64 bytes of a block.
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
[ ${#wanted} -eq 47 ] || refuse "openssl gives no signature to compare with"

case " $signatures " in
  *" $wanted "*) echo "verified" ;;
  *) refuse "no signature is right: the body, the id or the secret is another" ;;
esac
