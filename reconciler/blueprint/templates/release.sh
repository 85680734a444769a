#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
store=/var/lib/reconciler/certificate
group=ssl-cert
keys=/etc/ssh/reconciler
forms='bundle.pem keystore.p12 cert.der privkey.der'
complaint='{ print }'
rsa=rsa_pss_rsae_sha256:RSA+SHA256
ecdsa=ECDSA+SHA256

# release seal PEER                  signs and encrypts the staged pair for root on PEER
# release inspect SOURCE ACCOUNT SENDER
#                                    what SENDER delivered into SOURCE: the chain, and the public key
# release stage ID SOURCE [ACCOUNT SENDER]
#                                    copies the pair in SOURCE, or what was delivered there, into a new folder
# release use staged | proven        lets services read that one from now on
# release forms                      makes what is missing or wrong of the forms in the releases that links lead to
# release form NAME                  0 if this form of the current one is of its pair, 1 if not, 77 if only root
#                                    can tell
# release proven KEEP                records the current one as proven; keeps the KEEP newest folders
# release prove SECONDS PORT PROTOCOL[+RSA | +ECDSA] NAME...
#                                    waits until this host completes handshakes with the current
#                                    one under every name ('' for none), where it is said for a client
#                                    that takes no other kind of key; 1 and what it saw if not
set -u
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

point() {  # LINK TARGET: in one rename, so that the link is never missing; on the disk when it returns
  ln -s -f -n -- "$2" "$store/$1.new" && mv -T "$store/$1.new" "$store/$1" && sync "$store"
}

pin() {  # HOST: the certificate of its key for deliveries
  awk -v host="$1" '$1 == host { print $2; exit }' "$keys/delivery-pins" | openssl base64 -d -A | openssl x509 -inform DER
}

# Signed by root here and encrypted to root over there (RFC 5652), so that the account that carries it can
# neither read nor replace it. No rsync of root's talks to another host: the account reads it here.
seal() {
  out=$store/outgoing/$1
  rm -rf -- "$out" && install -d -m 0755 "$store/outgoing" "$out" && pin "$1" >"$out/to.pem" || return 1
  signed=$(cat "$store/staged/fullchain.pem" "$store/staged/privkey.pem" | openssl cms -sign -binary -nodetach \
    -nocerts -md sha256 -signer "$keys/delivery.pem" -inkey "$keys/delivery-key.pem" -outform PEM) || return 1
  printf '%s\n' "$signed" |
    openssl cms -encrypt -binary -aes256 -outform DER -out "$out/delivery.cms" "$out/to.pem" &&
    rm -f -- "$out/to.pem" && chmod 0644 "$out/delivery.cms"
}

# The delivered file is read as the account that owns its folder: no link in there leads root anywhere. It may
# have put a pipe there, or what never ends: after 10 s, and after 64 KB, it is none.
delivered() {  # SOURCE ACCOUNT SENDER: the chain and the key that are in it
  # A look asks for it on each host, and mostly there is none: then nothing is opened.
  # shellcheck disable=SC2016
  sealed=$(timeout -k 1 10 runuser -u "$2" -- sh -c 'test -f "$1" && exec cat "$1"' sh "$1/delivery.cms" </dev/null |
    head -c 65536 | base64 -w 0)
  if [ -z "$sealed" ] || ! signed=$(printf %s "$sealed" | base64 -d |
    openssl cms -decrypt -binary -inform DER -recip "$keys/delivery.pem" -inkey "$keys/delivery-key.pem"); then
    echo "there is no delivery to this host in $1" >&2
    return 1
  fi
  if ! pinned=$(pin "$3"); then
    echo "the key of $3 is not in $keys/delivery-pins" >&2
    return 1
  fi
  # Whose certificate it is was told by the controlling machine, so nobody has to have issued it.
  printf '%s\n' "$signed" | openssl cms -verify -binary -inform PEM -nointern -noverify -certfile /dev/fd/3 3<<EOF || {
$pinned
EOF
    echo "what is in $1 was not signed by $3" >&2
    return 1
  }
}

part() {  # NAME: of a text with a chain and its key
  certificates='/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p'
  case $1 in
  cert) sed -n "$certificates" | awk '{ print } /^-----END/ { exit }' ;;
  chain) sed -n "$certificates" | awk 'rest { print } /^-----END/ { rest = 1 }' ;;
  fullchain) sed -n "$certificates" ;;
  privkey) sed -n '/^-----BEGIN [A-Z ]*KEY-----/,/^-----END [A-Z ]*KEY-----/p' ;;
  esac
}

inspect() {
  pair=$(delivered "$@" 2>/dev/null) || return 1
  printf '%s\n' "$pair" | part fullchain
  printf '%s\n' "$pair" | part privkey | openssl pkey -pubout
}

stage() {
  new=$store/next
  rm -rf "$new" && install -d -m 0755 "$store" "$store/releases" "$new" || return 1
  pair=
  if [ "${3:-}" ]; then pair=$(delivered "$2" "$3" "$4") || return 1; fi
  for name in cert chain fullchain privkey; do
    mode=0644
    [ $name != privkey ] || mode=0640
    if [ "$pair" ]; then printf '%s\n' "$pair" | part $name; else cat "$2/$name.pem"; fi |
      install -m $mode -o root -g "$group" /dev/stdin "$new/$name.pem" && test -s "$new/$name.pem" || return 1
  done
  if [ "$pair" ] && [ "$(sed -n '/^-----BEGIN CERT/,/^-----END CERT/{/^-----/d;p}' "$new/fullchain.pem" |
    base64 -d | sha256sum | cut -c 1-32)" != "$1" ]; then
    echo "what is in $2 is another certificate than $1: nothing is staged" >&2
    return 1
  fi
  if ! loadable "$new"; then
    echo "the key in $2 does not belong to its certificate: nothing is staged" >&2
    return 1
  fi
  make_forms "$new" || return 1
  release=releases/$(date -u +%Y%m%d-%H%M%S)-$1
  # No link leads to a release before all of it is on the disk.
  sync "$new"/* "$new" && mv -T "$new" "$store/$release" && sync "$store/releases" &&
    point staged "$release" || return 1
  # The primary delivers the next one again; what nobody needs is not left behind.
  [ -z "$pair" ] || runuser -u "$3" -- rm -rf -- "$2"
}

loadable() {  # FOLDER: whether services can load the pair in it
  key=$(openssl pkey -pubout -in "$1/privkey.pem" 2>/dev/null) && [ "$key" ] &&
    [ "$key" = "$(openssl x509 -noout -pubkey -in "$1/fullchain.pem" 2>/dev/null)" ] &&
    [ "$(stat -c '%U:%G %a' -- "$1/privkey.pem")" = "root:$group 640" ]
}

form() {  # FOLDER NAME: prints the pair there in that form
  case $2 in
  bundle.pem) cat "$1/privkey.pem" "$1/fullchain.pem" ;;
  cert.der) openssl x509 -in "$1/cert.pem" -outform DER ;;
  privkey.der) openssl pkcs8 -topk8 -nocrypt -in "$1/privkey.pem" -outform DER ;;
  # Java and Tomcat take this password where none is said. It is no secret: who may read the file has the key.
  keystore.p12)
    openssl pkcs12 -export -in "$1/fullchain.pem" -inkey "$1/privkey.pem" -name certificate \
      -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg SHA256 -passout fd:3 3<<EOF
changeit
EOF
    ;;
  esac
}

is_of_pair() {  # FOLDER NAME [FILE]: whether the file is the pair there in that form
  file=$1/${3:-$2}
  test -s "$file" || return 1
  if [ "$2" != keystore.p12 ]; then
    form "$1" "$2" 2>/dev/null | cmp -s - "$file"
    return
  fi
  # Made twice it differs, so it is opened.
  opened=$(openssl pkcs12 -in "$file" -nodes -passin fd:3 2>/dev/null 3<<EOF
changeit
EOF
  ) || return 1
  chain=$(part fullchain <"$1/fullchain.pem" | tr -d '\n')
  [ "$(printf '%s\n' "$opened" | part fullchain | tr -d '\n')" = "$chain" ] &&
    [ "$(printf '%s\n' "$opened" | part privkey | openssl pkey -pubout)" = "$(openssl pkey -pubout -in "$1/privkey.pem")" ]
}

make_forms() {  # FOLDER: what is missing or wrong of the forms of the pair there
  for name in $forms; do
    if is_of_pair "$1" "$name" && [ "$(stat -c '%U:%G %a' -- "$1/$name")" = "root:$group 640" ]; then continue; fi
    if ! { form "$1" "$name" | install -m 0640 -o root -g "$group" /dev/stdin "$1/.$name" &&
      is_of_pair "$1" "$name" ".$name" && sync "$1/.$name" && mv -T "$1/.$name" "$1/$name" && sync "$1"; }; then
      rm -f -- "$1/.$name"
      echo "$1/$name could not be made of the pair there" >&2
      return 1
    fi
  done
}

forms() {
  result=0
  for folder in $(for link in staged current proven; do readlink "$store/$link"; done | sort -u); do
    make_forms "$store/$folder" || result=1
  done
  return $result
}

use() {
  if ! target=$(readlink "$store/$1") || ! loadable "$store/$target"; then
    echo "there is no $1 release on this host that services can load" >&2
    return 1
  fi
  # It may have been staged before a form was declared. What was proven is better than what was not, also without.
  make_forms "$store/$target" || [ "$1" = proven ] || return 1
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

handshake() {  # PORT PROTOCOL[+KEY] NAME: prints what s_client says; 0 if the handshake was completed
  # What is served is compared, not trusted, so no CAs have to be read.
  set -- "$1" "$2" "$3" -no-CAfile -no-CApath -connect "127.0.0.1:$1"
  case ${2%+*} in
  tls) ;;
  postgresql) set -- "$@" -starttls postgres ;;
  *) set -- "$@" -starttls "${2%+*}" ;;
  esac
  case $2 in
  *+RSA) set -- "$@" -sigalgs "$rsa" ;;
  *+ECDSA) set -- "$@" -sigalgs "$ecdsa" ;;
  esac
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

# A fiftieth of what `openssl x509` takes, and each handshake is judged by it.
leaf() {  # the first certificate, without what is around it
  awk '/^-----END CERTIFICATE-----/ { exit } on { printf "%s", $1 } /^-----BEGIN CERTIFICATE-----/ { on = 1 }'
}

prove() {
  seconds=$1 port=$2 protocol=$3
  shift 3
  want=$(leaf <"$store/current/fullchain.pem") && [ "$want" ] || return 1
  end=$(($(date +%s) + seconds))
  for name do
    while :; do
      # A certificate counts only if the handshake was completed: that proves the key.
      output=$(handshake "$port" "$protocol" "$name")
      status=$?
      seen=$(printf '%s\n' "$output" | leaf)
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
seal | inspect | stage | use | forms | proven | prove) "$@" ;;
form)
  if [ ! -r "$store/current/privkey.pem" ] && [ "$(id -u)" != 0 ]; then exit 77; fi
  is_of_pair "$store/current" "${2:-}"
  ;;
*) echo "usage: $0 seal | inspect | stage | use | forms | form | proven | prove" >&2; exit 64 ;;
esac
