"""The files that the blueprint writes on hosts, as templates. Text only.

`$name` is filled in by `string.Template`; `$$` is a dollar of the shell's own.
"""

from __future__ import annotations

from string import Template

HEAD = "# Written by reconcile from the environment $environment; changes here are undone.\n"

WRAPPER = Template(
    "#!/bin/sh\n"
    + HEAD
    + """\
# The only thing that the key of $account on another host may do here: ping, put a
# challenge, take it away, deliver a certificate into ~/incoming. Nothing here runs as root,
# nothing that arrives is used before root has checked it; what was done is in the log.
set -u
umask 022
challenge=$challenge_word
home=$home_word
log=$$home/actions.log
request=$${SSH_ORIGINAL_COMMAND:-}
client=$${SSH_CLIENT:-local}

note() { printf '%s %s %s\\n' "$$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$${client%% *}" "$$1" >>"$$log"; }
refuse() { note "refused: $$1"; echo "refused: $$1" >&2; exit 64; }

case $$request in
ping) echo pong; exit 0 ;;
'rsync --server -tce.'*' --timeout=60 . incoming/')
  # -tce.: times, checksums; no links, no folders, no other way out of ~/incoming
  flags=$${request#rsync --server -tce.}
  flags=$${flags% --timeout=60 . incoming/}
  case $$flags in *[!A-Za-z]*) refuse 'these options of rsync are not allowed' ;; esac
  umask 077
  ulimit -f 256
  mkdir -p "$$home/incoming" && cd "$$home" || exit 1
  note 'delivery'
  exec rsync --server "-tce.$$flags" --timeout=60 . incoming/
  ;;
'challenge put '*) verb=put token=$${request#challenge put } ;;
'challenge remove '*) verb=remove token=$${request#challenge remove } ;;
*) refuse 'only ping, challenge put, challenge remove and a delivery are allowed' ;;
esac
case $$token in
'' | *[!A-Za-z0-9_-]*) refuse 'a token is letters, digits, - and _' ;;
esac
[ $${#token} -le 128 ] || refuse 'a token is at most 128 characters'

status=0
case $$verb in
put)
  new=$$challenge/.$$token.new
  head -c 1024 >"$$new" && mv -T "$$new" "$$challenge/$$token" || status=1
  ;;
remove) rm -f -- "$$challenge/$$token" || status=1 ;;
esac
note "challenge $$verb $$token: status $$status"
exit $$status
"""
)

HOOK = Template(
    "#!/bin/sh\n"
    + HEAD
    + """\
# certbot runs this on the primary $when. Any host may be asked by the
# CA, so every host gets it; the status is 0 only if every host did.
set -u
umask 022
challenge=$challenge_word
token=$${CERTBOT_TOKEN:?certbot did not set it}
case $$token in
*[!A-Za-z0-9_-]*) echo "the token $$token has a character that a token cannot have" >&2; exit 64 ;;
esac
failed=$$(
  $local || echo $host
  for peer in $peers; do
    { $input | runuser -u $account -- ssh -o BatchMode=yes -o ConnectTimeout=10 \\
      -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -p $port -i $identity_word \\
      "$account@$$peer" "challenge $verb $$token" >&2 || echo "$$peer"; } &
  done
  wait
)
if [ -n "$$failed" ]; then
  echo challenge $verb failed for: $$failed >&2
  exit 1
fi
"""
)

AUTH_HOOK = {
    "when": "before the CA asks for a challenge",
    "verb": "put",
    "local": 'printf %s "$CERTBOT_VALIDATION" >"$challenge/$token"',
    "input": 'printf %s "$CERTBOT_VALIDATION"',
}
CLEANUP_HOOK = {
    "when": "after the CA has asked",
    "verb": "remove",
    "local": 'rm -f -- "$challenge/$token"',
    "input": "true",
}

NOTICE = Template(
    "#!/bin/sh\n"
    + HEAD
    + """\
# certbot runs this after a renewal. The name has no dot: run-parts skips names with one.
set -u
mail -s "$environment: the certificate of $router was renewed on $host" $administrators <<END
certbot has renewed the certificate of $router
(names: $${RENEWED_DOMAINS:-not told}) on $host.

The other hosts still serve the old one. To see and then carry out what is due:

    reconcile plan $environment
    reconcile apply $environment
END
"""
)

PORT_80 = Template(
    HEAD
    + """\
# All requests go to https but those of the CA: a challenge is answered here, by this host.
<VirtualHost *:80>
    ServerName $router
    ServerAlias $host
    Alias "/.well-known/acme-challenge/" "$challenge/"
    <Directory "$challenge">
        Options None
        AllowOverride None
        Require all granted
    </Directory>
    RedirectMatch permanent "^/(?!\\.well-known/)(.*)" "https://$router/$$1"
</VirtualHost>
"""
)

NO_SUDO = Template(
    HEAD
    + """\
# The key of this account opens every peer, so it must never lead to root. In sudoers the
# last match wins, and drop-ins are read in the order of their names: this one comes last.
$account ALL = (ALL:ALL) !ALL
"""
)
