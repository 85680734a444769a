#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
router=cn.example.org
names='cn.example.org cn-1.example.org cn-2.example.org'
hosts='cn-1.example.org cn-2.example.org'
folder=/etc/letsencrypt
server=https://acme-v02.api.letsencrypt.org/directory
rehearsal=https://acme-staging-v02.api.letsencrypt.org/directory
email=administrators@example.org
key_size=2048
resolver=
ca_bundle=
orders_a_week=5
failures_an_hour=5
auth_hook=/etc/letsencrypt/renewal/manual-auth-hook.sh
cleanup_hook=/etc/letsencrypt/renewal/manual-cleanup-hook.sh

# certificate.sh preflight           proves that the CA would find a challenge everywhere
# certificate.sh order               preflight, rehearsal if there is one, then an order
# certificate.sh renew [SECONDS]     the same, if it is due; waits up to SECONDS first (cron)
# certificate.sh limits              exits with 75 and a line if the CA would refuse another order
# certificate.sh begun               what certbot calls just before it orders (--pre-hook)
set -u
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
[ -z "$ca_bundle" ] || export REQUESTS_CA_BUNDLE="$ca_bundle" CURL_CA_BUNDLE="$ca_bundle"
state=/var/lib/reconciler
ledger=$state/orders
cert=$folder/live/$router/cert.pem

say() { printf '%s\n' "$*" >&2; }
note() { mkdir -p "$state" && printf '%s %s\n' "$(date +%s)" "$1" >>"$ledger"; }
newest_entry() { tail -n 1 "$ledger" 2>/dev/null | cut -d' ' -f2; }
serial() { openssl x509 -noout -serial -in "$cert" 2>/dev/null; }

# The CA's limits, from the ledger of orders: certificates for the same names in 7 days, failed
# orders in an hour (Let's Encrypt, "Rate Limits"). An order that began and never ended counts for both.
limits() {
  [ -s "$ledger" ] || return 0
  awk -v now="$(date +%s)" -v orders="$orders_a_week" -v failures="$failures_an_hour" '
    function unfinished() { if (open) { issued[++i] = open; failed[++f] = open }; open = 0 }
    function refuse(what, at) { print what "; the next is possible from @" at; bad = 1; exit 75 }
    $2 == "begun" { unfinished(); open = $1 }
    $2 == "issued" { issued[++i] = $1; open = 0 }
    $2 == "failed" { failed[++f] = $1; open = 0 }
    END {
      if (bad) exit 75
      unfinished()
      for (n = 1; n <= i; n++) if (issued[n] > now - 604800) { if (!a++) first = issued[n] }
      if (a >= orders) refuse(a " certificates for these names in 7 days, and the limit is " orders, first + 604800)
      for (n = 1; n <= f; n++) if (failed[n] > now - 3600) { if (!b++) last = failed[n] }
      if (b >= failures) refuse(b " failed orders within an hour, and the limit is " failures, last + 3600)
    }' "$ledger" >"$state/.limit" 2>/dev/null && { rm -f "$state/.limit"; return 0; }
  at=$(sed -n 's/.*@//p' "$state/.limit")
  say "$(sed 's/@.*//' "$state/.limit")$(date -u -d "@$at" +%Y-%m-%dT%H:%M:%SZ) [order-limit]"
  rm -f "$state/.limit"
  return 75
}

addresses() {  # NAME: its addresses from the DNS itself; the CA does not ask /etc/hosts
  for type in A AAAA; do
    dig +short +time=3 +tries=2 ${resolver:+"@$resolver"} "$type" "$1" 2>/dev/null
  done | grep -E '^[0-9a-fA-F.:]+$'
}

fetch() {  # NAME ADDRESS HOST: as the CA does it, with the redirects that it follows
  # curl wants brackets around an IPv6 address (curl(1), --resolve). -k: the CA validates no
  # certificate where a redirect leads to https (Let's Encrypt, "Challenge Types"). Boulder
  # follows 301, 302, 307 and 308, and no other (va/http.go).
  at=$2; case $at in *:*) at="[$at]" ;; esac
  head=$work/head-$3-$1-$2
  got=$(curl -sS -k -L --max-redirs 10 --proto-redir =http,https --max-time 20 -D "$head" \
    --resolve "$1:80:$at" "http://$1/.well-known/acme-challenge/$token" 2>&1)
  status=$?
  code=$(sed -n 's/^HTTP\/[0-9.]* \([0-9]*\).*/\1/p' "$head" 2>/dev/null | tail -n 1)
  if [ $status != 0 ]; then why=${got#curl: ([0-9]*) }
  elif grep -qE '^HTTP/[0-9.]+ (300|303|304|305|306)' "$head"; then why='it redirects in a way that the CA does not follow'
  elif [ "$got" = "$value" ]; then return 0
  elif [ "$code" = 200 ]; then why='another page is there: something swallows /.well-known/acme-challenge'
  else why="it answers $code"
  fi
  printf '%s through %s (%s): %s\n' "$1" "$2" "$3" "$(printf %s "$why" | head -n 1)" >>"$work/wrong"
}

preflight() {
  token=reconcile-canary-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  value=$token.preflight
  work=$(mktemp -d) || return 1
  if ! CERTBOT_TOKEN=$token CERTBOT_VALIDATION=$value sh "$auth_hook"; then
    echo 'the canary could not be put on every host' >>"$work/wrong"
  else
    for host in $hosts; do
      found=$(addresses "$host")
      [ -n "$found" ] || echo "$host: the DNS has no address for it" >>"$work/wrong"
      for address in $found; do echo "$address $host"; done
    done >"$work/ours"
    for name in $names; do
      found=$(addresses "$name")
      [ -n "$found" ] || echo "$name: the DNS has no address for it" >>"$work/wrong"
      # Each host by this name too: whichever of them the name leads to later must answer.
      for address in $({ printf '%s\n' "$found"; cut -d' ' -f1 "$work/ours"; } | sort -u); do
        whose=$(sed -n "s/^$address //p" "$work/ours" | head -n 1)
        fetch "$name" "$address" "${whose:-no host of ours}" &
      done
      wait
    done
  fi
  CERTBOT_TOKEN=$token sh "$cleanup_hook" || :
  status=0
  if [ -s "$work/wrong" ]; then
    status=1
    say 'the CA would not find a challenge everywhere, so nothing was ordered [ca-cannot-see]:'
    sort -u "$work/wrong" | sed 's/^/  /' >&2
  fi
  rm -rf "$work"
  return $status
}

ari() {  # asks the CA when it wants this certificate renewed (RFC 9773); 0 if that time has come
  # The identifier: the issuer's key identifier and the serial number as DER writes it, where a
  # first bit of 1 gets a zero byte before it, both base64url without padding
  # (section 4.1). OpenSSL before 3.0 writes keyid: in front of the key identifier.
  aki=$(openssl x509 -noout -ext authorityKeyIdentifier -in "$cert" 2>/dev/null |
    sed -n 's/^ *\(keyid:\)\{0,1\}\([0-9A-F:]*\)$/\2/p' | tr -d :)
  number=$(serial | sed 's/.*=//')
  case $number in [89A-F]*) number=00$number ;; esac
  url=$(curl -fsS --max-time 20 "$server" 2>/dev/null | tr ',{}' '\n' |
    sed -n 's/.*"renewalInfo" *: *"\([^"]*\)".*/\1/p')
  if [ -z "$aki" ] || [ -z "$url" ]; then rm -f "$state/ari"; return 1; fi
  id=$(for hex in "$aki" "$number"; do
    printf %s "$hex" | basenc -d --base16 | basenc --base64url | tr -d '=\n'; echo
  done | paste -sd.)
  answer=$(curl -fsS --max-time 20 "$url/$id" 2>/dev/null | tr -d '\n') || return 1
  [ -n "$answer" ] || return 1
  mkdir -p "$state" && printf '%s\n%s\n' "$id" "$answer" >"$state/ari.new" && mv "$state/ari.new" "$state/ari"
  start=$(printf %s "$answer" | sed -n 's/.*"start" *: *"\([^"]*\)".*/\1/p')
  [ -n "$start" ] && [ "$(date -d "$start" +%s)" -le "$(date +%s)" ]
}

ended() {  # STATUS SERIAL LOG: what was issued since SERIAL decides, not what certbot says
  after=$(serial)
  if [ -n "$after" ] && [ "$after" != "$2" ]; then note issued; return 0; fi
  [ "$(newest_entry)" != begun ] || note failed
  tail -n 12 "$3" >&2
  # certbot 2.1 hides what the CA has answered behind an AttributeError; its log has it.
  problem=$(grep -o 'urn:ietf:params:acme:error:[^"]*' /var/log/letsencrypt/letsencrypt.log 2>/dev/null | tail -n 1)
  [ -z "$problem" ] || say "the CA said: $problem"
  if [ "$problem" != "${problem#*accountDoesNotExist}" ]; then
    say "the CA does not know the account any more: move $folder/accounts away, then try again [ca-account-unknown]"
  fi
  [ "$1" != 0 ] || say 'certbot says that it succeeded, but no other certificate is there [not-issued]'
  return 1
}

run() {  # ARGUMENTS of certbot; leaves its status, its log, and the serial number from before
  log=$(mktemp)
  before=$(serial)
  certbot "$@" --config-dir "$folder" >"$log" 2>&1
  status=$?
}

order() {
  limits && preflight || return $?
  set -- certonly -n --agree-tos --key-type rsa --rsa-key-size "$key_size" --manual \
    --preferred-challenges http --manual-auth-hook "$auth_hook" --manual-cleanup-hook "$cleanup_hook" \
    --cert-name "$router"
  for name in $names; do set -- "$@" -d "$name"; done
  if [ -n "$email" ]; then set -- "$@" -m "$email"; else set -- "$@" --register-unsafely-without-email; fi
  if [ -n "$rehearsal" ]; then
    run "$@" --dry-run --server "$rehearsal"
    if [ $status != 0 ]; then
      tail -n 12 "$log" >&2
      say "the rehearsal at $rehearsal failed, so nothing was ordered [rehearsal-failed]"
      rm -f "$log"
      return 1
    fi
    rm -f "$log"
  fi
  run "$@" --force-renewal --server "$server" --pre-hook "sh $0 begun"
  ended "$status" "$before" "$log"
  status=$?
  rm -f "$log"
  return $status
}

renew() {
  [ "${1:-0}" = 0 ] || sleep "$(($(od -An -N2 -tu2 /dev/urandom) % $1))"
  [ -e "$cert" ] || { say "there is no certificate to renew: reconcile apply orders it"; return 1; }
  force=
  ari && force=--force-renewal
  limits && preflight || return $?
  run renew -n -q --cert-name "$router" --no-random-sleep-on-renew $force --pre-hook "sh $0 begun"
  if [ "$status" = 0 ] && [ "$(serial)" = "$before" ] && [ "$(newest_entry)" != begun ]; then
    rm -f "$log"  # it was not due: certbot runs --pre-hook only where it orders
    return 0
  fi
  ended "$status" "$before" "$log"
  status=$?
  rm -f "$log"
  return $status
}

case ${1:-} in
preflight | order | limits) "$1" ;;
renew) renew "${2:-0}" ;;
begun) note begun ;;
*) say "usage: $0 preflight | order | renew [SECONDS] | limits"; exit 64 ;;
esac
