#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
# shellcheck disable=SC2034,SC2154  # what certificate.sh and its other parts set and use
router=cn.example.org
folder=/etc/letsencrypt
server=https://acme-v02.api.letsencrypt.org/directory
email=administrators@example.org
fallback_server=https://ca.example.org/directory
fallback_email=administrators@example.org
fallback_ca_bundle=
overdue=25

# A part of certificate.sh, where a second CA is declared. It is asked once the first has failed (its limits, a
# refusal, no answer) and time is short. certbot's renewal file goes on to name the first, so that the next renewal
# is the first's; each CA has a ledger of its own.
first=$server first_email=$email first_profile=${profile:-}
conf=$folder/renewal/$router.conf
kept=/var/lib/reconciler/renewal-$router.first

second() {  # from here on everything is about the second CA
  server=$fallback_server email=$fallback_email ca_bundle=$fallback_ca_bundle rehearsal='' profile=''
  ledger=$ledger.second
  RECONCILE_CA=second; export RECONCILE_CA
  unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE
  [ -z "$ca_bundle" ] || export REQUESTS_CA_BUNDLE="$ca_bundle" CURL_CA_BUNDLE="$ca_bundle"
}

second_has_issued() {  # SERIAL: whether the CA that is not asked now has issued it
  case $ledger in *.second) other=${ledger%.second} ;; *) other=$ledger.second ;; esac
  grep -qE "^[0-9]+ issued [^ ]+ $1\$" "$other" 2>/dev/null
}

moment() {  # startdate | enddate, of the newest certificate
  at=$(openssl x509 -noout "-$1" -in "$cert" 2>/dev/null | sed 's/^[^=]*=//')
  [ -n "$at" ] && date -d "$at" +%s
}

urgent() {  # whether there is no certificate, or less than `overdue` percent of its time is left
  begins=$(moment startdate) && ends=$(moment enddate) || return 0
  [ $(((ends - $(date +%s)) * 100)) -lt $(((ends - begins) * overdue)) ]
}

conf_server() { sed -n 's/^server *= *//p' "$conf" 2>/dev/null | tail -n 1; }

account() {  # the name of an account at the first CA of which all files are whole; the last of several
  for d in "$folder/accounts/${first#*://}"/*/; do
    for f in regr meta private_key; do
      [ "$(tail -c 1 "$d$f.json" 2>/dev/null)" = '}' ] || continue 2
    done
    printf '%s\n' "$d"
  done | sed 's|/$||; s|.*/||' | tail -n 1
}

registered() {  # makes sure of such an account
  [ -z "$(account)" ] || return 0
  set -- register -n --agree-tos --config-dir "$folder" --server "$first"
  if [ -n "$first_email" ]; then set -- "$@" -m "$first_email"; else set -- "$@" --register-unsafely-without-email; fi
  said=$(command certbot "$@" 2>&1 9>&-) || :
  [ -z "$(account)" ] || return 0
  printf '%s\n' "$said" | tail -n 3 >&2
  say "$first gives no account, so nothing can be renewed there"
  return 1
}

home() {  # lets certbot renew at the first CA again, where its renewal file names the second
  [ "$(conf_server)" = "$fallback_server" ] || return 0
  if [ -s "$kept" ]; then
    cp "$kept" "$conf.new" || return 1
  else
    id=$(account)
    [ -n "$id" ] || return 1
    while IFS= read -r line; do
      case $line in
      'server = '*) printf 'server = %s\n' "$first" ;;
      'account = '*) printf 'account = %s\n' "$id" ;;
      '[renewalparams]')
        printf '%s\n' "$line"
        [ -z "$first_profile" ] || printf 'required_profile = %s\n' "$first_profile" ;;
      *) printf '%s\n' "$line" ;;
      esac
    done <"$conf" >"$conf.new" || return 1
  fi
  sync "$conf.new" && mv "$conf.new" "$conf" && rm -f "$kept"
}

at_home() {  # before a renewal: it is to be the first CA's
  [ "$(conf_server)" = "$fallback_server" ] || return 0
  [ -s "$kept" ] || registered || return 1
  home
}

mine() { [ -n "${run:-}" ] && [ "$(cat "$state/order.lock" 2>/dev/null)" = "$run" ]; }

# Another run that is ordering, or a ledger that cannot be written, is no matter of a CA.
either() {  # order [RELEASE] | renew [SECONDS]
  "$@"
  ended=$?
  if [ $ended = 0 ] || ! mine || ! urgent; then return $ended; fi
  short="less than $overdue % of the time of the last one is left"
  [ -s "$cert" ] || short='there is none yet'
  say "no certificate came from $first, and $short: it is ordered at the second CA, $fallback_server"
  [ -z "$log" ] || rm -f "$log"
  second
  if [ -s "$conf" ] && [ "$(conf_server)" != "$server" ]; then
    cp -p "$conf" "$kept" && sync "$kept" || return 1
  fi
  order "$(release)"
  ended=$?
  home || :
  [ "$(conf_server)" = "$server" ] || rm -f "$kept"
  return $ended
}
