#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
server=https://acme-v02.api.letsencrypt.org/directory
profile=shortlived

# A part of certificate.sh, where a profile is declared: every order and every renewal asks for it, for certbot 4.0
# forgets it at a renewal, and certbot before 4.0 cannot ask (certbot, CHANGELOG.md). An empty `profile` is none.
certbot() {  # ARGUMENTS
  # An order is for that profile or for nothing; a rehearsal goes on at a CA that does not have it.
  case "$profile: $* " in
  :* | *': revoke '*) command certbot "$@" ;;
  *' --dry-run '*) command certbot "$@" --preferred-profile "$profile" ;;
  *) command certbot "$@" --required-profile "$profile" ;;
  esac
}

profile_can_be_had() {
  [ -n "$profile" ] || return 0
  version=$(command certbot --version 2>&1 9>&- | sed -n 's/^certbot \([0-9.]*\).*/\1/p')
  case $version in
  [0-3].*)
    say "certbot is $version, and only 4.0 or newer can ask for the profile $profile: nothing was ordered [certbot-too-old]"
    return 1 ;;
  esac
  # The directory has the profiles as an object of its `meta`, by name (draft-aaron-acme-profiles). certbot
  # tells better why it cannot be fetched.
  directory=$(curl -fsS --max-time 20 "$server" 2>/dev/null | head -c 65536 | tr -d ' \t\r\n\000')
  [ -n "$directory" ] || return 0
  offered=$(printf %s "$directory" | sed -n 's/.*"profiles":{\([^}]*\)}.*/\1/p' | grep -o '"[A-Za-z0-9._-]*":"' |
    tr -d '":' | paste -sd' ')
  case " $offered " in *" $profile "*) return 0 ;; esac
  say "the CA at $server offers no profile $profile (there: ${offered:-none}): nothing was ordered [profile-not-offered]"
  return 1
}
