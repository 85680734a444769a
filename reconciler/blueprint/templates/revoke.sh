#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
# shellcheck disable=SC2154  # what certificate.sh sets
folder=/etc/letsencrypt
server=https://acme-v02.api.letsencrypt.org/directory

# What is done about a certificate whose key is thought compromised. A part of certificate.sh, which has the
# lock, the ledger and `run`; every look runs `held_now` and `key_sums` where such a certificate is declared.

# held SERIAL: the file on this host that has the certificate with this serial number, as openssl prints it; 1 where
# there is none, 77 where it may not be looked for. The key lies beside it: privkeyN.pem by certN.pem.
held() {
  for each in "$folder/archive" "$state"; do
    if [ -e "$each" ] && ! { [ -r "$each" ] && [ -x "$each" ]; }; then return 77; fi
  done
  for file in "$folder"/archive/*/cert*.pem "$state"/former-*/archive/*/cert*.pem \
    "$state"/certificate/releases/*/cert.pem "$state"/certificates/*/releases/*/cert.pem; do
    if [ "$(openssl x509 -noout -serial -in "$file" 2>/dev/null)" = "serial=$1" ]; then
      echo "$file"
      return 0
    fi
  done
  return 1
}

# held_now SERIAL: the same; `expired` where its time is over, for then clients take it no more, revoked or not.
held_now() {
  at=$(held "$1") || return
  if openssl x509 -noout -checkend 0 -in "$at" >/dev/null; then echo "$at"; else echo expired; fi
}

# key_sums SERIAL…: for each that is found, the SHA-256 of its public key as DER: another certificate may have it too.
key_sums() {
  for number; do
    if found=$(held "$number"); then
      openssl x509 -noout -pubkey -in "$found" | openssl pkey -pubin -outform DER | sha256sum | cut -c 1-64
    fi
  done
}

# revoke SERIAL: has the CA revoke it for a compromised key, and notes that. The certificate's own key signs: that
# needs no account, and proves that others may know it, so that Let's Encrypt lets nobody have a certificate for it
# again (boulder, ra.go, RevokeCertByKey). Without the key, or where the CA does not take that, the account signs.
revoke() {
  number=$1
  alone revoke || return $?
  # Beside the ledger of orders, from which it is read how many the CA would still take; one for both CAs.
  ledger=${ledger%.second}
  ledger=$state/revoked${ledger##*/orders}
  ! noted "revoked [^ ]+ $number" || return 0
  if ! at=$(held "$number"); then
    say "no certificate with the serial number $number is on this host, so nothing was revoked [not-held]"
    return 1
  fi
  key=${at%/*}/privkey${at##*/cert}
  # shellcheck disable=SC2034  # `run` waits for another certbot unless that has replaced this release
  seen=$(release)
  set -- revoke -n --cert-path "$at" --reason keycompromise --no-delete-after-revoke --server "$server"
  for signer in key account; do
    if [ "$signer" = account ]; then run "$@" || return $?
    elif [ -s "$key" ]; then run "$@" --key-path "$key" || return $?
    else continue; fi
    if busy; then
      say 'another certbot is at work: nothing was revoked beside it [another-order]'
      return 75
    fi
    # certbot 2.1 hides what the CA has answered behind an AttributeError; its log has it, where it is of this call.
    problem=$(grep -qsF "$at" /var/log/letsencrypt/letsencrypt.log &&
      grep -o 'urn:ietf:params:acme:error:[A-Za-z]*' /var/log/letsencrypt/letsencrypt.log | tail -n 1)
    if [ "$status" = 0 ] || [ "${problem##*:}" = alreadyRevoked ]; then  # RFC 8555, 6.7
      note revoked "$run" "$number"
      return
    fi
    tail -n 5 "$log" >&2
    say "it was not revoked, signed by the $signer: ${problem:-the CA said nothing}"
    rm -f "$log"
  done
  return 1
}
