#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
verb=present
program=/etc/letsencrypt/dns-hook
resolver=
wait=120

# certbot runs this on the primary: with the verb present before the CA asks for a challenge, with cleanup
# after it has (certbot docs, "Pre and Post Validation Hooks"). What changes the DNS is the environment's own
# program, called as lego calls that of its provider `exec`: VERB NAME VALUE, the name with its last dot. A
# name and its wildcard have two values at the same time. The CA asks only once the record is seen to be there.
set -u
umask 077
domain=${CERTBOT_DOMAIN:?certbot did not set it} value=${CERTBOT_VALIDATION:?certbot did not set it}
name=_acme-challenge.$domain

say() { printf '%s\n' "$*" >&2; }
ask() { dig +short +time=3 +tries=2 "$@" 2>/dev/null | grep -v '^;'; }

servers() {  # NAME: the name server that the environment names, or those of the zone
  if [ -n "$resolver" ]; then echo "$resolver"; return; fi
  zone=$1
  while [ -n "$zone" ]; do
    found=$(ask NS "$zone.")
    if [ -n "$found" ]; then printf '%s\n' "$found"; return; fi
    case $zone in *.*) zone=${zone#*.} ;; *) zone= ;; esac
  done
}

shown() {  # whether each of them has the record; `_acme-challenge` may be an alias of a name elsewhere
  at=$name
  for _ in 1 2 3 4 5 6 7 8; do
    alias=$(ask ${resolver:+"@$resolver"} CNAME "$at." | head -n 1)
    [ -n "$alias" ] || break
    at=${alias%.}
  done
  all=$(servers "$at")
  [ -n "$all" ] || { why="the DNS has no name server for $at"; return 1; }
  for server in $all; do
    why="$server does not have it"
    ask "@$server" TXT "$at." | grep -qxF "\"$value\"" || return 1
  done
}

"$program" $verb "$name." "$value" </dev/null >&2 ||
  { say "\`$program $verb $name.\` ended with $?; it is the program that certificate: dns_hook names"; exit 1; }
[ $verb = present ] || exit 0
end=$(($(date +%s) + wait))
until shown; do
  if [ "$(date +%s)" -ge "$end" ]; then
    say "the DNS does not show the record of $name after $wait s: $why"
    exit 1
  fi
  sleep 2
done
