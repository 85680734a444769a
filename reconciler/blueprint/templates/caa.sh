#!/bin/sh
# Examples of its settings; the blueprint writes those of the environment.
names='cn.example.org cn-1.example.org cn-2.example.org'
folder=/etc/letsencrypt
router=cn.example.org
challenge=http-01
resolver=
ca_bundle=

# Whether the CAA records of the DNS let the CA issue for each name (RFC 8659, 8657), judged as Let's
# Encrypt judges them (boulder, va/caa.go). A part of certificate.sh, and every look runs it.

# caa SERVER: `ours IDENTITIES ACCOUNTS CHALLENGE`, joined by commas, `-` where there is none, `?` where it cannot be
# told; then VERDICT NAME WORDS for each name. The verdict: bound (to our account and kind of challenge),
# open, none (no record), forbidden, untold.
caa() {
  identities=$(caa_identities "$1") accounts=$(caa_accounts "$1")
  echo "ours $identities $accounts $challenge"
  if command -v dig >/dev/null; then
    caa_answers | caa_judged "$identities" "$accounts"
  else
    printf '%s\n' "$names" | tr ' ' '\n' | sed 's/.*/untold & dig is missing/'
  fi
}

caa_identities() {  # SERVER: by which names records mean this CA (RFC 8555, 7.1.1: caaIdentities)
  case $1 in https://*.api.letsencrypt.org/*) echo letsencrypt.org; return ;; esac
  said=$(curl -fsS --max-time 5 ${ca_bundle:+--cacert "$ca_bundle"} "$1" 2>/dev/null | head -c 65536 | tr -d ' \t\r\n"' |
    sed -n 's/.*caaIdentities:\[\([A-Za-z0-9.,-]*\)\].*/\1/p')
  echo "${said:-?}"
}

# certbot goes by the account that the renewal file names, else by the only one there; `uri` in its
# regr.json is the one that the CA gave it (RFC 8555, 7.3).
caa_accounts() {  # SERVER
  at=$folder/accounts/${1#*://}
  id=$(sed -n 's/^account *= *\([0-9a-f]*\)$/\1/p' "$folder/renewal/$router.conf" 2>/dev/null | tail -n 1)
  if [ -e "$folder/accounts" ] && [ ! -x "$folder/accounts" ]; then echo '?'; return; fi
  [ -n "$id" ] && [ -s "$at/$id/regr.json" ] || id='*'
  # shellcheck disable=SC2086  # of all that are there, where none is named
  found=$(cat "$at"/$id/regr.json 2>/dev/null | tr ',{}' '\n' |
    sed -n 's/^ *"uri" *: *"\(https*:[^" ,;\\]*\)".*/\1/p' | paste -sd,)
  echo "${found:--}"
}

# The CAA set of a name is that of the closest domain at or above it that has one. The CA asks for all of
# them at once, and its resolver follows CNAMEs.
caa_answers() {
  # shellcheck disable=SC2046  # a name and its kind of record are two words, and have no blanks
  caa_asked $(printf '%s\n' "$names" | awk '{
    for (n = 1; n <= NF; n++) {
      at = $n; sub(/^[*][.]/, "", at)
      do if (!seen[at]++) print at ". CAA"; while (sub(/^[^.]*[.]/, "", at))
    }
  }')
}

# Four by each dig, for most of its time goes into its start; all of them side by side, and one answer after the
# other, however long it is.
caa_asked() {  # DOMAIN KIND...
  if [ $# -gt 8 ]; then
    caa_asked "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" | { shift 8; others=$(caa_asked "$@"); cat; printf '%s\n' "$others"; }
  else dig +noall +comments +question +answer +time=2 +tries=2 ${resolver:+"@$resolver"} "$@" 2>&1 | head -c 14000; fi
}

caa_judged() {  # IDENTITIES ACCOUNTS: of the answers on stdin
  LC_ALL=C awk -v names="$names" -v identities="$1" -v accounts="$2" -v challenge="$challenge" '
    function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }
    function among(text, list) { return list != "?" && list != "-" && index("," list ",", "," text ",") > 0 }
    function add(list, text) { return list == "" ? text : index(", " list ", ", ", " text ", ") ? list : list ", " text }

    # RFC 8659, 4.2. A parameter that is there twice can never be met (RFC 8657, 3).
    function parse(value, part, count, n, at, tag, text) {
      split("", times); uri = methods = ""; bad = value ~ /\\[0-9]/
      count = split(value, part, ";")
      domain = trim(part[1])
      if (domain !~ /^[0-9A-Za-z.-]*$/) bad = 1
      if (count == 2 && trim(part[2]) == "") return
      for (n = 2; n <= count; n++) {
        at = index(part[n], "="); tag = trim(substr(part[n], 1, at - 1)); text = trim(substr(part[n], at + 1))
        if (!at || tag !~ /^[0-9A-Za-z-]+$/ || text ~ /[^!-:<-~]/) bad = 1
        times[tag]++
        if (tag == "accounturi") uri = text
        if (tag == "validationmethods") methods = text
      }
    }
    function is_ours() {
      # Accounts of ACME v1 have two URIs.
      sub(/^https:\/\/acme-v01\.api\.letsencrypt\.org\/acme\/reg\//, "https://acme-v02.api.letsencrypt.org/acme/acct/", uri)
      return among(uri, accounts)
    }
    function has_method(part, count, n) {
      count = split(methods, part, ",")
      for (n = 1; n <= count; n++) {
        if (part[n] !~ /^[0-9A-Za-z-]+$/) return 0
        if (part[n] == challenge) return 1
      }
      return 0
    }

    # One issue property: whether it allows an order of ours, and why not; what it leaves open.
    function weigh(value) {
      issue++
      parse(value)
      if (bad) { why = add(why, "\"" value "\" is malformed"); return }
      if (domain == "") return
      if (identities == "?" ? times["accounturi"] != 1 || !is_ours() : !among(domain, identities)) {
        if (identities == "?" && !times["accounturi"]) dubious = "the CA does not say by which name records mean it (caaIdentities)"
        else if (identities == "?") why = add(why, "another account: " uri)
        else others = add(others, domain)
        return
      }
      if (!times["accounturi"]) any = add(any, "any account of the CA")
      if (!times["validationmethods"]) any = add(any, "any method")
      if (times["accounturi"] == 1 && accounts == "?") dubious = "this login may not read which account certbot has"
      else if (times["accounturi"] && (times["accounturi"] > 1 || !is_ours())) why = add(why, "another account: " uri)
      else if (times["validationmethods"] && (times["validationmethods"] > 1 || !has_method())) why = add(why, "other methods: " methods)
      else allowed = 1
    }

    # Of a wildcard, `issuewild` counts in place of `issue` wherever there is one (RFC 8659, 4.3).
    function verdict(set, wild, record, count, n, tag, flags, value) {
      wild = wild && tolower(set) ~ /(^|\n)[0-9]+[ \t]+issuewild[ \t]/ ? "issuewild" : "issue"
      issue = allowed = 0; why = others = any = dubious = unknown = ""
      count = split(set, record, "\n")
      for (n = 1; n < count; n++) {
        flags = record[n] + 0
        tag = record[n]; sub(/^[0-9]+[ \t]+/, "", tag); value = tag
        sub(/[ \t].*/, "", tag); tag = tolower(tag)
        sub(/^[^"]*"/, "", value); sub(/"[^"]*$/, "", value)
        # The bit 128 means critical; CAs take 1 for it too, which many write.
        if (tag !~ /^(issue|issuewild|issuemail|iodef)$/ && (flags >= 128 || flags % 2)) unknown = add(unknown, tag)
        if (tag == wild) weigh(value)
      }
      if (unknown != "") return "forbidden has a critical property that no CA knows: " unknown
      if (!issue) return "open restricts no CA"
      if (allowed) {
        if (any != "") return "open allows this order, but " any
        return "bound binds this account and " challenge (others == "" ? "" : "; it lets other CAs issue as well: " others)
      }
      if (dubious != "") return "untold cannot be judged: " dubious
      if (others != "") why = add(why, "another CA: " others)
      return "forbidden allows " (why == "" ? "no CA" : "only what this order is not: " why)
    }

    # What came of a question stands before it: `;NAME. IN CAA`.
    /^;;.* status: / { came = $0; sub(/.* status: /, "", came); sub(/,.*/, "", came) }
    /^;[^; \t]/ { at = tolower(substr($1, 2)); sub(/[.]$/, "", at); status[at] = came; came = "" }
    $1 !~ /^;/ && $4 == "CAA" { text = $0; sub(/^[^ \t]+[ \t]+[^ \t]+[ \t]+[^ \t]+[ \t]+CAA[ \t]+/, "", text); sets[at] = sets[at] text "\n" }
    END {
      count = split(names, list, " ")
      for (n = 1; n <= count; n++) {
        said = "none there is no CAA record: any CA may issue"
        at = tolower(list[n]); wildcard = sub(/^[*][.]/, "", at)
        while (at != "") {
          if (status[at] != "NOERROR" && status[at] != "NXDOMAIN") {
            said = "untold the DNS " (status[at] == "" ? "does not answer" : "answers " status[at]) " for the CAA records of " at ", and on that the CA refuses"
            break
          }
          if (at in sets) { said = verdict(sets[at], wildcard); sub(/ /, " the CAA set of " at " ", said); break }
          if (!sub(/^[^.]*\./, "", at)) at = ""
        }
        word = said; sub(/ .*/, "", word); sub(/^[^ ]* /, "", said)
        print word, list[n], said
      }
    }'
}
