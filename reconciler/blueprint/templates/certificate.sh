#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
router=cn.example.org
names='cn.example.org cn-1.example.org cn-2.example.org'
hosts='cn-1.example.org cn-2.example.org'
folder=/etc/letsencrypt
server=https://acme-v02.api.letsencrypt.org/directory
rehearsal=https://acme-staging-v02.api.letsencrypt.org/directory
email=administrators@example.org
key_type=rsa
key_size=2048
challenge=http-01
dns_hook=
resolver=
ca_bundle=
orders_a_week=5
failures_an_hour=5
auth_hook=/etc/letsencrypt/renewal/manual-auth-hook.sh
cleanup_hook=/etc/letsencrypt/renewal/manual-cleanup-hook.sh

# certificate.sh preflight           proves that the CA may issue and would find a challenge everywhere
# certificate.sh order [RELEASE]     preflight, rehearsal if there is one, then an order; nothing is
#                                    ordered if another run has replaced RELEASE meanwhile
# certificate.sh renew [SECONDS]     the same, if it is due; waits up to SECONDS first (cron)
# certificate.sh limits              exits with 75 and a line if the CA would refuse another order
# certificate.sh begun               what certbot calls just before it orders (--pre-hook)
# certificate.sh revoke SERIAL       has the CA revoke that one because its key is compromised (revoke.sh)
set -u
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
[ -z "$ca_bundle" ] || export REQUESTS_CA_BUNDLE="$ca_bundle" CURL_CA_BUNDLE="$ca_bundle"
state=/var/lib/reconciler
ledger=$state/orders
cert=$folder/live/$router/cert.pem

patience=300  # seconds; the step of apply that orders has 15 minutes in all

say() { printf '%s\n' "$*" >&2; }
serial() { openssl x509 -noout -serial -in "$cert" 2>/dev/null | sed 's/.*=//'; }

# The ledger: SECONDS begun RUN SERIAL, with the serial number that is to be replaced; SECONDS issued
# RUN SERIAL, with the new one; SECONDS failed RUN. Earlier versions wrote neither RUN nor SERIAL.
note() {  # WORD RUN [SERIAL]: on the disk when it returns, so that no order is forgotten
  mkdir -p "$state" || return 1
  # What a power cut has left of a line stays a line of its own.
  [ -z "$(tail -c 1 "$ledger" 2>/dev/null)" ] || echo >>"$ledger"
  printf '%s %s\n' "$(date +%s)" "$*" >>"$ledger" && sync "$ledger" "$state"
}

noted() { grep -qE "^[0-9]+ $1\$" "$ledger" 2>/dev/null; }

issued() {  # RUN SERIAL: a certificate is noted once, whoever comes to note it
  # certbot does not sync what it writes; a certificate counts as issued once it is on the disk.
  find "$folder/accounts" "$folder/archive/$router" "$folder/live/$router" "$folder/renewal" \
    -exec sync {} + 2>/dev/null
  noted "issued [^ ]+ $2" || note issued "$1" "$2"
}

# What a run that was killed, or certbot started by hand, has begun and left open: if another
# certificate is there that nobody has noted, that run got it.
settle() {
  now=$(serial)
  [ -n "$now" ] && [ -s "$ledger" ] || return 0
  of=$(awk -v now="$now" '
    $2 == "begun" && NF == 4 && $4 != now { open[$3]; last = $3 }
    $2 == "issued" && $4 == now { noted = 1 }
    $2 != "begun" && NF > 2 { delete open[$3] }
    END { if (!noted && last in open) print last }' "$ledger")
  [ -z "$of" ] || issued "$of" "$now"
}

# The CA's limits, from the ledger of orders: certificates for the same names in 7 days, failed
# orders in an hour (Let's Encrypt, "Rate Limits"). An order that began and never ended counts for both.
limits() {
  [ -s "$ledger" ] || return 0
  refused=$(awk -v now="$(date +%s)" -v orders="$orders_a_week" -v failures="$failures_an_hour" '
    function unfinished(run) { issued[++i] = open[run]; failed[++f] = open[run]; delete open[run] }
    function refuse(what, at) { print what "; the next is possible from @" at; done = 1; exit }
    $1 !~ /^[0-9]+$/ { next }
    $2 == "begun" { if ($3 in open) unfinished($3); open[$3] = $1 }
    $2 == "issued" { delete open[$3]; if (NF < 4 || !($4 in seen)) issued[++i] = $1; if (NF > 3) seen[$4] }
    $2 == "failed" { delete open[$3]; failed[++f] = $1 }
    END {
      if (done) exit
      for (run in open) unfinished(run)
      for (n = 1; n <= i; n++) if (issued[n] > now - 604800) { if (!a++ || issued[n] < first) first = issued[n] }
      if (a >= orders) refuse(a " certificates for these names in 7 days, and the limit is " orders, first + 604800)
      for (n = 1; n <= f; n++) if (failed[n] > now - 3600) { if (!b++ || failed[n] > last) last = failed[n] }
      if (b >= failures) refuse(b " failed orders within an hour, and the limit is " failures, last + 3600)
    }' "$ledger" 2>/dev/null)
  [ -n "$refused" ] || return 0
  say "${refused%@*}$(date -u -d "@${refused##*@}" +%Y-%m-%dT%H:%M:%SZ) [order-limit]"
  return 75
}

release() {  # the identity of the newest certificate with its chain, as `reconcile` computes it; or none
  sed -n '/^-----BEGIN CERT/,/^-----END CERT/{/^-----/d;p}' "$folder/live/$router/fullchain.pem" 2>/dev/null |
    base64 -d 2>/dev/null | sha256sum | cut -c 1-32 | sed 's/^e3b0c44298fc1c149afbf4c8996fb924$/none/'
}

good() {  # whether the newest certificate is one that nobody would order anew: names, key, time
  [ "$(openssl x509 -noout -ext subjectAltName -in "$cert" 2>/dev/null | tr -d ' ' | tr ',' '\n' |
    sed -n 's/^DNS://p' | sort -u)" = "$(printf '%s\n' "$names" | tr ' [:upper:]' '\n[:lower:]' | sort -u)" ] &&
    openssl x509 -noout -checkend 86400 -in "$cert" >/dev/null 2>&1 &&
    [ "$(openssl x509 -noout -pubkey -in "$cert")" = "$(openssl pkey -pubout -in "${cert%cert.pem}privkey.pem")" ]
}

replaced() {  # RELEASE: whether a good one has taken its place while this run waited
  [ "$(release)" != "$1" ] && good || return 1
  say "another run has ordered the certificate meanwhile: it is there, and nothing more is ordered"
}

# One order at a time: cron, apply and a second apply come through here. The lock is given back when this
# process and the certbot that it has started are gone, so a certbot whose script was killed is waited for.
alone() {  # COMMAND
  run=$1-$(date +%s)-$$ deadline=$(($(date +%s) + patience))
  RECONCILE_RUN=$run; export RECONCILE_RUN
  mkdir -p "$state" && (umask 077 && : >>"$state/order.lock") || return 1
  exec 9<>"$state/order.lock"
  if ! flock -w "$patience" 9; then
    say "$(cat "$state/order.lock") has been ordering for more than $patience s: nothing is ordered beside it;" \
      "look at that process (the last number is its id), or try again later [another-order]"
    return 75
  fi
  # Where this cannot be written, an order could not be noted either.
  if ! { echo "$run" >"$state/order.lock" && sync "$state/order.lock" "$state"; }; then
    say "$state cannot be written, so an order could not be noted: nothing was ordered"
    return 1
  fi
  settle
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

# By `caa`, which comes from caa.sh. What cannot be told refuses nothing: the CA has the last word.
allowed() {
  told=$(caa "$server")
  printf '%s\n' "$told" | sed -n 's/^untold \([^ ]*\)/warning: \1:/p' >&2
  case $told in *"
forbidden "*) ;; *) return 0 ;; esac
  say 'the CA would refuse by the CAA records of the DNS, so nothing was ordered [caa-forbids]:'
  printf '%s\n' "$told" | sed -n 's/^forbidden \([^ ]*\)/  \1:/p' >&2
  return 1
}

# The account at the rehearsal's CA is another one, which a set that binds ours need not let in.
may_rehearse() {
  told=$(caa "$rehearsal" | sed -n 's/^forbidden \([^ ]*\)/  \1:/p')
  [ -n "$told" ] || return 0
  say "the rehearsal at $rehearsal is left out, as the CAA records of the DNS forbid it:"
  printf '%s\n' "$told" >&2
  return 1
}

preflight() {
  allowed || return 1
  token=reconcile-canary-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
  value=$token.preflight
  work=$(mktemp -d) || return 1
  case $challenge in
  dns-01) canary_in_the_dns ;;
  *) canary_on_every_host ;;
  esac
  status=0
  if [ -s "$work/wrong" ]; then
    status=1
    say 'the CA would not find a challenge everywhere, so nothing was ordered [ca-cannot-see]:'
    sort -u "$work/wrong" | sed 's/^/  /' >&2
  fi
  rm -rf "$work"
  return $status
}

canary_in_the_dns() {  # for each name; that of a wildcard is the domain below which it is
  set -f
  for name in $names; do echo "${name#'*.'}"; done | sort -u >"$work/domains"
  set +f
  if ! [ -x "$dns_hook" ]; then
    echo "$dns_hook, which puts records into the DNS, is not there or may not be run" >>"$work/wrong"
    return
  fi
  while read -r domain; do
    why=$(CERTBOT_DOMAIN=$domain CERTBOT_VALIDATION=$value sh "$auth_hook" 2>&1 9>&- </dev/null) ||
      printf '%s\n' "$why" | tail -n 2 | sed "s/^/$domain: /" >>"$work/wrong"
    CERTBOT_DOMAIN=$domain CERTBOT_VALIDATION=$value sh "$cleanup_hook" >/dev/null 2>&1 9>&- </dev/null || :
  done <"$work/domains"
}

canary_on_every_host() {
  if ! CERTBOT_TOKEN=$token CERTBOT_VALIDATION=$value sh "$auth_hook" 9>&-; then
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
  CERTBOT_TOKEN=$token sh "$cleanup_hook" 9>&- || :
}

ari() {  # asks the CA when it wants this certificate renewed (RFC 9773); 0 if that time has come
  # The identifier: the issuer's key identifier and the serial number as DER writes it, where a
  # first bit of 1 gets a zero byte before it, both base64url without padding
  # (section 4.1). OpenSSL before 3.0 writes keyid: in front of the key identifier.
  aki=$(openssl x509 -noout -ext authorityKeyIdentifier -in "$cert" 2>/dev/null |
    sed -n 's/^ *\(keyid:\)\{0,1\}\([0-9A-F:]*\)$/\2/p' | tr -d :)
  number=$(serial)
  case $number in [89A-F]*) number=00$number ;; esac
  # What the CA sends is cut off: a directory has about 1 kB, an answer 200 bytes.
  url=$(curl -fsS --max-time 20 "$server" 2>/dev/null | head -c 65536 | tr ',{}' '\n' |
    sed -n 's/.*"renewalInfo" *: *"\(https:\/\/[^"]*\)".*/\1/p' | head -n 1)
  if [ -z "$aki" ] || [ -z "$url" ]; then rm -f "$state/ari"; return 1; fi
  id=$(for hex in "$aki" "$number"; do
    printf %s "$hex" | basenc -d --base16 | basenc --base64url | tr -d '=\n'; echo
  done | paste -sd.)
  answer=$(curl -fsS --max-time 20 "$url/$id" 2>/dev/null | head -c 4097 | tr -d '\n\000')
  [ -n "$answer" ] && [ ${#answer} -le 4096 ] || return 1
  printf '%s\n%s\n' "$id" "$answer" >"$state/ari.new" && sync "$state/ari.new" &&
    mv "$state/ari.new" "$state/ari" || return 1
  start=$(printf %s "$answer" | sed -n 's/.*"start" *: *"\([0-9T:.Z+-]*\)".*/\1/p')
  [ -n "$start" ] && start=$(date -d "$start" +%s) && [ "$start" -le "$(date +%s)" ]
}

ended() {  # STATUS SERIAL LOG: what was issued since SERIAL decides, not what certbot says
  after=$(serial)
  if [ -n "$after" ] && [ "$after" != "$2" ]; then issued "$run" "$after"; return; fi
  ! noted "begun $run .*" || note failed "$run"
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

busy() { [ "$status" != 0 ] && grep -q '^Another instance of Certbot is already running' "$log"; }

run() {  # ARGUMENTS of certbot; leaves its status, its log, and the serial number from before
  log=$(mktemp) || return 1
  while :; do
    before=$(serial)
    certbot "$@" --config-dir "$folder" >"$log" 2>&1
    status=$?
    # certbot has a lock of its own and does not wait for it (certbot/_internal/lock.py).
    busy || return 0
    if [ "$(date +%s)" -ge "$deadline" ]; then
      say "another certbot has been at work for more than $patience s: nothing is ordered beside it [another-order]"
      return 75
    fi
    sleep 2
    ! replaced "$seen" || return 0
  done
}

order() {  # [RELEASE]
  seen=${1:-$(release)}
  alone order || return $?
  ! replaced "$seen" || return 0
  limits && preflight || return $?
  case $key_type in
  ecdsa-p256) set -- --key-type ecdsa --elliptic-curve secp256r1 ;;
  ecdsa-p384) set -- --key-type ecdsa --elliptic-curve secp384r1 ;;
  *) set -- --key-type rsa --rsa-key-size "$key_size" ;;
  esac
  set -- certonly -n --agree-tos "$@" --manual \
    --preferred-challenges "${challenge%-01}" --manual-auth-hook "$auth_hook" --manual-cleanup-hook "$cleanup_hook" \
    --cert-name "$router"
  set -f  # a wildcard is no pattern
  for name in $names; do set -- "$@" -d "$name"; done
  set +f
  if [ -n "$email" ]; then set -- "$@" -m "$email"; else set -- "$@" --register-unsafely-without-email; fi
  if [ -n "$rehearsal" ] && may_rehearse; then
    run "$@" --dry-run --server "$rehearsal" || return $?
    if busy; then return 0; fi
    if [ "$status" != 0 ]; then
      tail -n 12 "$log" >&2
      say "the rehearsal at $rehearsal failed, so nothing was ordered [rehearsal-failed]"
      return 1
    fi
    rm -f "$log"
  fi
  run "$@" --force-renewal --server "$server" --pre-hook "sh $0 begun" || return $?
  busy || ended "$status" "$before" "$log"
}

renew() {  # [SECONDS]
  seen=$(release)
  [ "${1:-0}" = 0 ] || sleep "$(($(od -An -N2 -tu2 /dev/urandom) % $1))"
  [ -e "$cert" ] || { say "there is no certificate to renew: reconcile apply orders it"; return 1; }
  alone renew || return $?
  ! replaced "$seen" || return 0
  force=
  ari && force=--force-renewal
  limits && preflight || return $?
  run renew -n -q --cert-name "$router" --no-random-sleep-on-renew $force --pre-hook "sh $0 begun" || return $?
  # certbot runs --pre-hook only where it orders: without its note it was not due.
  if busy || { [ "$status" = 0 ] && [ "$(serial)" = "$before" ] && ! noted "begun $run .*"; }; then return 0; fi
  ended "$status" "$before" "$log"
}

begun() {  # by certbot: of the run that has started it, or of whoever has done so by hand
  was=$(serial)
  note begun "${RECONCILE_RUN:-by-hand-$(date +%s)-$PPID}" "${was:-none}"
}

log=
trap '[ -z "$log" ] || rm -f "$log"' EXIT
case ${1:-} in
preflight | limits | begun) "$1" ;;
order) order "${2:-}" ;;
renew) renew "${2:-0}" ;;
revoke) revoke "${2:?SERIAL}" ;;
*) say "usage: $0 preflight | order [RELEASE] | renew [SECONDS] | limits | revoke SERIAL"; exit 64 ;;
esac
