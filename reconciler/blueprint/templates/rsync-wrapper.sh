#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
challenge=/var/www/.well-known/acme-challenge
home=/home/rsync_user
store=/var/lib/reconciler/certificate
primary=cn-1.example.org

# rsync-wrapper.sh ping      the key may prove that it gets in, and nothing else: a replica's
# rsync-wrapper.sh deliver   it may also put and remove challenges, and deliver a certificate into
#                            ~/incoming, or collect what root here has sealed for the primary: the
#                            primary's
#
# The only thing that the sync account's key on another host may do here; which of the two is in
# command= of authorized_keys, and what is asked for comes from over there. Nothing here runs as
# root; root checks what arrives before it is used; actions.log has it all.
set -u
umask 022
log=$home/actions.log
request=${SSH_ORIGINAL_COMMAND:-}
client=${SSH_CLIENT:-local}

role=${1:-}

# Whoever may log in can fill the log, so it starts anew at 1 MB, and the one before it is kept.
[ "$(stat -c %s -- "$log" 2>/dev/null || echo 0)" -lt 1048576 ] || mv -f -- "$log" "$log.1"
note() { printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${client%% *}" "$1" >>"$log"; }
refuse() { note "refused: $1"; echo "refused: $1" >&2; exit 64; }

[ "$request" != ping ] || { echo pong; exit 0; }
[ "$role" = deliver ] || refuse 'this key may only ping'
case $request in
'rsync --server -tce.'*' --timeout=60 . incoming/')
  # What `rsync -tc --timeout=60` asks for over ssh (rsync's options.c, server_options): times,
  # checksums, and after -e. what the client can do. No links, no folders, only ~/incoming.
  flags=${request#rsync --server -tce.}
  flags=${flags% --timeout=60 . incoming/}
  case $flags in *[!A-Za-z]*) refuse 'these options of rsync are not allowed' ;; esac
  umask 077
  ulimit -f 256  # blocks of 512 bytes: a delivery is far smaller
  mkdir -p "$home/incoming" && cd "$home" || exit 1
  note 'delivery'
  exec rsync --server "-tce.$flags" --timeout=60 . incoming/
  ;;
collect | 'collect '*)
  # Encrypted to root on the primary, so that nobody else can read it. NAME is that of a further certificate.
  name=${request#collect}
  name=${name# }
  case $name in *[!A-Za-z0-9_-]*) refuse 'this is no name of a certificate' ;; esac
  note "$request"
  exec cat "$store${name:+s/$name}/outgoing/$primary/delivery${name:+-$name}.cms"
  ;;
'challenge put '*) verb=put token=${request#challenge put } ;;
'challenge remove '*) verb=remove token=${request#challenge remove } ;;
*) refuse 'only ping, challenge put, challenge remove, collect and a delivery are allowed' ;;
esac
# A token is base64url (RFC 8555, section 8.3), so it cannot be a path.
case $token in
'' | *[!A-Za-z0-9_-]*) refuse 'a token is letters, digits, - and _' ;;
esac
[ ${#token} -le 128 ] || refuse 'a token is at most 128 characters'

status=0
case $verb in
put)
  [ "$(find "$challenge" -mindepth 1 -maxdepth 1 | head -n 256 | wc -l)" -lt 256 ] ||
    refuse "there are 256 challenges in $challenge already; remove those that are left over"
  # Renamed into place, so that the CA never reads half of it.
  new=$challenge/.$token.new
  head -c 1024 >"$new" && mv -T "$new" "$challenge/$token" || status=1
  ;;
remove) rm -f -- "$challenge/$token" || status=1 ;;
esac
note "challenge $verb $token: status $status"
exit $status
