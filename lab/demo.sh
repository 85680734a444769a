#!/bin/bash
# The main job on three real hosts, told in steps. Started by `make demo`; KEEP=1 leaves the
# hosts running. Ends with 1 as soon as something is not as it was announced.
set -u
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH
name=${name:-demo}
step=0

say() { step=$((step + 1)); printf '\n\033[1m%2d. %s\033[0m\n' "$step" "$1"; }
fail() { printf '\nThe demonstration failed: %s\n' "$1" >&2; exit 1; }
show() { printf '    $ %s\n' "$*"; }
expect() {  # expect CODE COMMAND...: runs it, shows what it prints, wants this exit code
  local wanted=$1 code; shift
  show "$@"
  "$@" 2>"$errors" | tail -n "${LINES_SHOWN:-12}" | sed 's/^/    /'
  code=${PIPESTATUS[0]}
  [ "$code" = "$wanted" ] || { tail -n 20 "$errors" >&2; fail "exit code $code, not $wanted: $*"; }
}
pending() {  # the actions that a command's --json lists, one a line
  "$@" --json 2>"$errors" | python3 -c '
import json, sys
for a in json.load(sys.stdin)["actions"]: print(a["host"].split(".")[0], a["kind"], a["name"])' | sort
}
clean_up() {
  rm -rf "$errors" "$RECONCILE_STATE"
  if [ -n "${KEEP:-}" ]; then
    printf '\nThe hosts go on running: reconcile plan %s; end them with: python3 -m lab down --name %s\n' "${env:-}" "$name"
  else
    python3 -m lab down --name "$name"
  fi
}
errors=$(mktemp)
RECONCILE_STATE=$(mktemp -d) || exit 1
export RECONCILE_STATE
trap clean_up EXIT
trap 'exit 130' INT TERM

say "Three real hosts are started: systemd, sshd, Apache, PostgreSQL, Tomcat."
python3 -m lab down --name "$name" >/dev/null 2>&1
up=$(python3 -m lab up -n 3 --name "$name") || fail "the hosts did not start"
env=${up##*$'\n'}
sed -i 's/^  jitter: 0$/  jitter: 0\n  deadline: 10/' "$env"  # the fault below shall not take a minute
ops() { local host=$1; shift; show "on host $host: $*"; python3 -m lab exec --name "$name" "$host" sh -c "$*" || fail "$*"; }

say "The environment file is checked, without any host."
expect 0 reconcile validate "$env"

say "The plan: everything is to be created, and nothing is touched."
expect 2 reconcile plan "$env" --detailed-exitcode

say "One apply: accounts, keys, port 80, then the certificate, then all that needs it."
LINES_SHOWN=2 expect 0 reconcile apply "$env" --yes

say "A second plan has nothing to do."
expect 0 reconcile plan "$env" --detailed-exitcode

say "Every service of every host shows the certificate, as its clients see it."
LINES_SHOWN=40 expect 0 reconcile verify "$env"

say "cron's command renews it on the primary; nothing that serves has changed yet."
ops 1 "sed -i 's/.*renew_before_expiry.*/renew_before_expiry = 3650 days/' /etc/letsencrypt/renewal/*.conf"
ops 1 sh /etc/letsencrypt/renewal/certificate.sh renew
ops 1 "sed -i 's/^renew_before_expiry.*/# renew_before_expiry = 30 days/' /etc/letsencrypt/renewal/*.conf"

say "A fault: on host 2, Apache's reload does nothing. The first proof fails, the old one is put back."
ops 2 "mkdir -p /etc/systemd/system/apache2.service.d; printf '[Service]\\nExecReload=\\nExecReload=/bin/true\\n' >/etc/systemd/system/apache2.service.d/deaf.conf; systemctl daemon-reload"
LINES_SHOWN=3 expect 4 reconcile apply "$env" --yes
LINES_SHOWN=1 expect 2 reconcile verify "$env"
ops 2 "rm /etc/systemd/system/apache2.service.d/deaf.conf; systemctl daemon-reload"

say "The cause is gone: the rollout goes on, host after host, the primary last."
LINES_SHOWN=2 expect 0 reconcile apply "$env" --yes
LINES_SHOWN=1 expect 0 reconcile verify "$env"

say "Three things are broken by hand, one on each host."
ops 1 systemctl stop apache2
ops 2 "sed -i 's/^environment.hosts=.*/environment.hosts=cn-old/' /etc/dataone/node.properties"
ops 3 setfacl -k /var/www/.well-known/acme-challenge

say "drift, as cron runs it, finds exactly those (exit code 2)."
LINES_SHOWN=40 expect 2 reconcile drift "$env"
broken="cn-lab-1 service apache2
cn-lab-2 property /etc/dataone/node.properties environment.hosts
cn-lab-3 acl /var/www/.well-known/acme-challenge"
[ "$(pending reconcile drift "$env")" = "$broken" ] || fail "drift found something else"

say "apply fixes exactly those."
show reconcile apply "$env" --yes --json
fixed=$(reconcile apply "$env" --yes --json 2>"$errors" | python3 -c '
import json, sys
for o in json.load(sys.stdin)["outcomes"]:
    if o["result"] == "done": print(o["host"].split(".")[0], o["kind"], o["name"])' | sort)
printf '%s\n' "$fixed" | sed 's/^/    done: /'
[ "$fixed" = "$broken" ] || { cat "$errors" >&2; fail "apply did something else"; }

say "All is as declared again."
expect 0 reconcile drift "$env"

say "The journal has all of it, and nothing in it was changed since."
LINES_SHOWN=20 expect 0 reconcile history
expect 0 reconcile history --verify
