#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
store=/var/lib/reconciler/certificate
group=ssl-cert
complaint='{ print }'

# release stage ID SOURCE [ACCOUNT]  copies the pair in SOURCE (read as ACCOUNT) into a new folder
# release use staged | proven        lets services read that one from now on
# release proven KEEP                records the current one as proven; keeps the KEEP newest folders
# release prove SECONDS PORT tls | postgresql NAME...
#                                    waits until this host completes handshakes with the current
#                                    one under every name ('' for none); 1 and what it saw if not
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

point() {  # LINK TARGET: in one rename, so that the link is never missing; on the disk when it returns
  ln -s -f -n -- "$2" "$store/$1.new" && mv -T "$store/$1.new" "$store/$1" && sync "$store"
}

# Reads a file as the account that owns its folder: no link in there leads root anywhere. It may have put a
# pipe there, or what never ends: after 10 s, and after 64 KB, it is none.
arrived() {  # FILE ACCOUNT
  if [ -z "$2" ]; then
    cat "$1"
  else
    # shellcheck disable=SC2016
    timeout -k 1 10 runuser -u "$2" -- sh -c 'test -f "$1" && exec cat "$1"' sh "$1" </dev/null | head -c 65536
  fi
}

stage() {
  new=$store/next
  rm -rf "$new" && install -d -m 0755 "$store" "$store/releases" "$new" || return 1
  for name in cert chain fullchain privkey; do
    mode=0644
    [ $name != privkey ] || mode=0640
    arrived "$2/$name.pem" "${3:-}" | install -m $mode -o root -g "$group" /dev/stdin "$new/$name.pem" &&
      test -s "$new/$name.pem" || return 1
  done
  release=releases/$(date -u +%Y%m%d-%H%M%S)-$1
  # No link leads to a release before all of it is on the disk.
  sync "$new"/*.pem "$new" && mv -T "$new" "$store/$release" && sync "$store/releases" &&
    point staged "$release" || return 1
  # The primary delivers the next one again; a key that nobody needs is not left behind.
  [ -z "${3:-}" ] || runuser -u "$3" -- rm -rf -- "$2"
}

loadable() {  # FOLDER: whether services can load the pair in it
  key=$(openssl pkey -pubout -in "$1/privkey.pem" 2>/dev/null) && [ "$key" ] &&
    [ "$key" = "$(openssl x509 -noout -pubkey -in "$1/fullchain.pem" 2>/dev/null)" ] &&
    [ "$(stat -c '%U:%G %a' -- "$1/privkey.pem")" = "root:$group 640" ]
}

use() {
  if ! target=$(readlink "$store/$1") || ! loadable "$store/$target"; then
    echo "there is no $1 release on this host that services can load" >&2
    return 1
  fi
  point current "$target" || return 1
  # The same certificate, staged once more, is as proven as the copy that went bad was.
  proven=$(readlink "$store/proven") || return 0
  [ "${proven##*-}" != "${target##*-}" ] || [ "$proven" = "$target" ] || point proven "$target"
}

proven() {
  point proven "$(readlink "$store/current")" || return 1
  # Their names begin with the date, so the newest come first.
  for folder in $(find "$store/releases" -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort -r |
    tail -n "+$(($1 + 1))"); do
    case "$(readlink "$store/staged") $(readlink "$store/current")" in
    *"releases/$folder"*) ;;
    *) rm -rf -- "$store/releases/$folder" ;;
    esac
  done
}

handshake() {  # PORT PROTOCOL NAME: prints what s_client says; 0 if the handshake was completed
  # What is served is compared, not trusted, so no CAs have to be read.
  set -- "$1" "$2" "$3" -no-CAfile -no-CApath -connect "127.0.0.1:$1"
  [ "$2" != postgresql ] || set -- "$@" -starttls postgres
  if [ -n "$3" ]; then set -- "$@" -servername "$3"; else set -- "$@" -noservername; fi
  shift 3
  timeout 10 openssl s_client "$@" </dev/null 2>&1
}

cause() {  # PORT PROTOCOL: what decides which certificate is served there, in one line
  if [ "$2" = postgresql ]; then
    setting="SELECT setting || ' (' || coalesce(sourcefile || ':' || sourceline, source) || ')'"
    set -- "$1" "$(cd / && timeout 10 runuser -u postgres -- psql -XAt -p "$1" \
      -c "$setting FROM pg_settings WHERE name = 'ssl_cert_file'" 2>/dev/null)"
    [ -z "$2" ] || echo ", its ssl_cert_file is $2"
  elif ss -Hltnp "sport = :$1" | grep -q '"apache2"'; then
    # Apache lists the vhosts of a port in the order in which they answer (vhost.c, dump_vhost_config).
    hosts=$(timeout 20 apache2ctl -t -D DUMP_VHOSTS 2>/dev/null |
      sed -nE "s/^([^ ]*:$1|.* port $1 namevhost) .*\\((\\/.*)\\)\$/\\2/p" | paste -sd' ')
    [ -z "$hosts" ] || echo ", the vhosts of this port are, in this order, $hosts"
  else
    echo ", it is of $(ss -Hltnp "sport = :$1" | sed -nE 's/.*users:\(\("([^"]*)".*/\1/p' | sort -u | paste -sd' ')"
  fi
}

prove() {
  seconds=$1 port=$2 protocol=$3
  shift 3
  want=$(openssl x509 -outform DER -in "$store/current/fullchain.pem" | sha256sum) || return 1
  end=$(($(date +%s) + seconds))
  for name do
    while :; do
      # A certificate counts only if the handshake was completed: that proves the key.
      output=$(handshake "$port" "$protocol" "$name")
      status=$?
      seen=$(printf '%s\n' "$output" | openssl x509 -outform DER 2>/dev/null | sha256sum)
      [ $status != 0 ] || [ "$seen" != "$want" ] || break
      if [ "$(date +%s)" -ge $end ]; then
        if [ $status = 0 ]; then
          other=$(printf '%s\n' "$output" | openssl x509 -noout -subject -serial 2>/dev/null | paste -sd' ')
          why="it still serves another certificate: $other$(cause "$port" "$protocol"),"
        else why="no handshake: $(printf '%s\n' "$output" | awk "$complaint")"; fi
        printf 'port %s, %s: %s after %s s [not-served]\n' "$port" "${name:-without a name}" "$why" "$seconds" >&2
        return 1
      fi
      sleep 0.3
    done
  done
}

case ${1:-} in
stage | use | proven | prove) "$@" ;;
*) echo "usage: $0 stage | use | proven | prove" >&2; exit 64 ;;
esac
