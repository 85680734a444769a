#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
verb=put
host=cn-1.example.org
peers='cn-2.example.org:22 cn-3.example.org:22'
challenge=/var/www/.well-known/acme-challenge
account=rsync_user
identity=/etc/ssh/reconciler/id_ed25519
known_hosts=/etc/ssh/reconciler/known_hosts

# certbot runs this on the primary: with the verb put before the CA asks for a challenge, with
# remove after it has (certbot docs, "Pre and Post Validation Hooks"). The CA may ask any host,
# so every host gets the challenge; the status is 0 only if every host did what it should.
set -u
umask 022
token=${CERTBOT_TOKEN:?certbot did not set it}
[ $verb = remove ] || : "${CERTBOT_VALIDATION:?certbot did not set it}"
case $token in
*[!A-Za-z0-9_-]*) echo "the token $token has a character that a token cannot have" >&2; exit 64 ;;
esac

on_this_host() {
  # As the account, whose folder it is: a link in there must not lead root elsewhere.
  set -- runuser -u "$account" --
  case $verb in
  put) printf %s "$CERTBOT_VALIDATION" | "$@" dd status=none of="$challenge/$token" ;;
  remove) "$@" rm -f -- "$challenge/$token" ;;
  esac
}

on_peer() {  # NAME:PORT; the wrapper over there reads the validation from stdin
  printf %s "${CERTBOT_VALIDATION:-}" | runuser -u "$account" -- ssh -F none -o BatchMode=yes \
    -o ConnectTimeout=10 -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes \
    -o UserKnownHostsFile="$known_hosts" -p "${1##*:}" -i "$identity" -- "$account@${1%:*}" "challenge $verb $token" >&2
}

failed=$(
  on_this_host || echo "$host"
  for peer in $peers; do
    { on_peer "$peer" || echo "${peer%:*}"; } &
  done
  wait
)
if [ -n "$failed" ]; then
  echo "challenge $verb failed for: $(printf %s "$failed" | tr '\n' ' ')" >&2
  exit 1
fi
