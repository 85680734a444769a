# shellcheck shell=sh
# Who can change what a path leads to, and how root acts there: as root where only root can, as the account
# where exactly one other can, not at all where several can (docs/decisions/017). These functions stand in front
# of each script that looks at paths or changes what is there.
#
# A location is a path; with an @ in front, or with /. at its end, its last component is followed where it is a
# link. With a ? in front it is a pattern of the shell's, of * and ?, for all that it matches. No path has a line
# break in it.
# shellcheck disable=SC2034  # `nl` and `theirs` are for the scripts that follow

nl='
'
odd='' found_here='' foreign=$nl theirs=$nl people=$nl everybody='' groups=$nl lists=$nl known=$nl accounts='' last=''
at_first=$nl
root=$(id -u)

# Prints, of the folders given, the links and those that somebody other than root owns or can write to.
list_odd() {
  find "$@" -maxdepth 0 '(' -type l -o ! -uid 0 -o -perm /022 ')' -printf '%m %U %G %p\n' 2>/dev/null
}

# To be told every folder above a location first: one process for all of them.
look_at_folders() {
  if [ "$root" != 0 ]; then return; fi
  odd=$nl$(list_odd "$@")$nl known=$nl
  for each; do known=$known$each$nl; done
}

# Sets `name` and `gid` of an account.
person() {  # UID
  case $people in *"$nl$1 "*) ;; *)
    line=$(getent passwd "$1") || { name='' gid=''; return 1; }
    gid=${line#*:*:*:}
    people=$people$1' '${line%%:*}' '${gid%%:*}$nl ;;
  esac
  line=${people#*"$nl$1 "}
  line=${line%%"$nl"*}
  name=${line%% *} gid=${line#* }
}

# Notes that an account can change a folder.
can_write() {  # UID FOLDER
  case $1 in 0) return ;; esac
  case " $writers" in *" $1 "*) return ;; esac
  writers="$writers$1 "
  person "$1" || name="uid $1, which is no account"
  why="$why${why:+, }$2 can be written by $name"
}

everybody_can_write() {  # FOLDER
  writers="$writers* " why="$why${why:+, }$1 can be written by everybody"
}

# Notes that a group's members can change a folder: those it lists, and those whose own group it is.
group_can_write() {  # GID FOLDER
  case $groups in *"$nl$1 "*) ;; *)
    [ "$everybody" ] || everybody=$(getent passwd)
    found='' members=$(getent group "$1")
    members=${members##*:}
    IFS=,
    for member in $members; do
      unset IFS
      member=$(id -u -- "$member" 2>/dev/null) && found="$found $member"
    done
    IFS=$nl
    for each in $everybody; do
      member=${each#*:*:}
      case ${member#*:} in "$1:"*) found="$found ${member%%:*}" ;; esac
    done
    unset IFS
    groups=$groups$1$found' '$nl ;;
  esac
  each=${groups#*"$nl$1 "}
  for member in ${each%%"$nl"*}; do can_write "$member" "$2"; done
}

# Whether a folder has an ACL.
has_acl() {  # FOLDER
  case $lists in *"$nl$1$nl"*) return 0 ;; *"$nl-$1$nl"*) return 1 ;; esac
  case $(ls -ldn -- "$1") in ??????????+*) lists=$lists$1$nl ;; *) lists=$lists-$1$nl; return 1 ;; esac
}

# Notes who can change what FOLDER/NAME is.
judge() {  # FOLDER NAME MORE
  if [ "$linked" ]; then
    case $known in
    *"$nl$1$nl"*) ;;
    *) known=$known$1$nl odd=$odd$(list_odd "$1")$nl ;;
    esac
  fi
  case $odd in *" $1$nl"*) ;; *) return ;; esac
  mode=
  IFS=$nl
  for line in $odd; do
    unset IFS
    if [ "${line#* * * }" = "$1" ]; then
      mode=${line%% *} line=${line#* }
      owner=${line%% *} line=${line#* }
      of=${line%% *}
      break
    fi
  done
  unset IFS
  [ "$mode" ] || return
  can_write "$owner" "$1"
  case $mode in *[2367] | *[2367]?) ;; *) return ;; esac
  # In a sticky folder what is there can be moved by its owner alone (unlink(2), EPERM); anybody can add to it.
  case $mode in
  [1357]???)
    if [ "$3" ] && [ -d "${1%/}/$2" ] && ! [ -L "${1%/}/$2" ]; then
      can_write "$(stat -c %u -- "${1%/}/$2")" "$1"
      return
    fi
    ;;
  esac
  case $mode in *[2367]) everybody_can_write "$1" ;; esac
  case $mode in *[2367]?) ;; *) return ;; esac
  # Where there is an ACL, these bits are its mask (acl(5)).
  has_acl "$1" || { group_can_write "$of" "$1"; return; }
  command -v getfacl >/dev/null || { everybody_can_write "$1"; return; }
  for line in $(getfacl -cpn -- "$1" 2>/dev/null | grep -E '^(user:[0-9]+|group:[0-9]*):.w'); do
    named=${line#*:}
    named=${named%%:*}
    case $line in
    user:*) can_write "$named" "$1" ;;
    *) group_can_write "${named:-$of}" "$1" ;;
    esac
  done
}

# Notes who can change what a location leads to: in every folder in which the kernel looks a name up.
walk() {  # LOCATION
  follow='' rest=$1
  case $rest in @*) follow=1 rest=${rest#@} ;; esac
  case $rest in */ | */.) follow=1 rest=${rest%/*} ;; esac
  at='' linked=$found_here links=0
  while [ "$rest" ]; do
    part=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
    case $part in
    '' | .) continue ;;
    ..) at=${at%/*}; continue ;;
    esac
    judge "${at:-/}" "$part" "$rest$follow"
    if [ -L "$at/$part" ] && [ "$rest$follow" ]; then
      links=$((links + 1))
      to=$(readlink -- "$at/$part")
      case $to in *"$nl"*) links=99 ;; esac
      if [ $links -gt 40 ]; then
        writers="$writers* " why="$why${why:+, }$at/$part leads nowhere"
        return
      fi
      case $to in /*) at= ;; esac
      rest=$to/$rest linked=1
    elif [ -d "$at/$part" ]; then
      at=$at/$part
    else
      return
    fi
  done
}

# Whether somebody other than root may have a hand in it.
is_odd() {  # LOCATION
  case $1 in @*) if [ -L "${1#@}" ]; then return 0; fi ;; */.) if [ -L "${1%/.}" ]; then return 0; fi ;; esac
  IFS=$nl
  for line in $odd; do
    line=/${line#* * * /}
    case ${1#@}/ in "${line%/}"/*) unset IFS; return 0 ;; esac
  done
  unset IFS
  return 1
}

# Walks to all that a pattern matches, and each beginning of it: who could add to that counts, too.
find_out() {  # PATTERN
  beginning='' remains=${1#/} found_here=1
  while [ "$remains" ]; do
    beginning=$beginning/${remains%%/*}
    case $remains in */*) remains=${remains#*/} ;; *) remains= ;; esac
    next=${remains%%/*}
    case $next in *[*?]*) next=- ;; esac  # any name
    set +f
    IFS=
    # shellcheck disable=SC2086  # it is a pattern
    set -- $beginning
    unset IFS
    set -f
    for each_found; do
      case $each_found in
      *"$nl"*) everybody_can_write "${each_found%%"$nl"*}" ;;
      *) walk "@$each_found${next:+/$next}" ;;
      esac
    done
  done
  found_here=
}

# Sets `who` to the uid as which to act at locations, 0 for root and - for nobody; `why` says who can change what.
decide() {  # LOCATION...
  writers='' why='' who=0
  if [ "$root" != 0 ]; then return; fi
  set -f
  for each_location; do
    case $each_location in
    '?'*) find_out "${each_location#?}" ;;
    *) if is_odd "$each_location"; then walk "$each_location"; fi ;;
    esac
  done
  set +f
  case $writers in
  '') ;;
  *\** | *' '*' '*) who=- ;;
  *)
    who=${writers% }
    person "$who" || who=-
    ;;
  esac
}

# Runs a shell as an account, with nothing of root's: no environment, no descriptor but the first three, and no
# way to gain rights again; for so many seconds at most. To be run in a subshell. Those three have to be pipes to what trusts nothing: a
# socket could be read, too. What the account has made of the shell by then may go on to hold them.
become() {  # UID SECONDS ARGUMENT...
  person "$1" || return
  uid=$1 seconds=$2
  shift 2
  ulimit -f 131072  # 64 MB: an endless device may lie where a file is copied from
  cd / && timeout -k 1 "$seconds" env -i PATH="$PATH" LC_ALL=C HOME=/ setpriv --reuid="$uid" --regid="$gid" \
    --init-groups --inh-caps=-all --no-new-privs sh "$@" 3>&- 4>&- 9>&-
}

# Prints the locations that are not root's alone. Whatever was told of them may have been told, and put there, by
# somebody else: what becomes root's only now has to be looked at again before root acts there (`act`).
list_foreign() {  # LOCATION...
  for location; do
    decide "$location"
    [ "$who" = 0 ] || printf '%s\n' "$location"
  done
}

# Runs shell text: as root, as an account, or not at all.
act() {  # COMMAND LOCATION...
  code=$1
  shift
  decide "$@"
  case $who in
  0)
    for location; do
      case $at_first in *"$nl$location$nl"*) echo "$location became root's only now [foreign-folder]"; return 94 ;; esac
    done
    eval "$code"
    ;;
  -) echo "not done as root: $why [foreign-folder]"; return 93 ;;
  *)
    # A pipe of its own making is its input: it may not open root's by the name /dev/stdin.
    # shellcheck disable=SC2016
    { status=$({ { become "$who" 30 -c 'cat | sh -c "$1"' sh "$code"; echo $? >&3; } 2>&1 |
      timeout -k 1 32 head -c 1000000 >&4; } 3>&1); } 4>&1
    [ "$status" != 0 ] || return 0
    echo "this ran as $name, not as root: $why [foreign-folder]"
    return "$status"
    ;;
  esac
}

# Prints of each location that is not root's alone: LOCATION, UID, NAME and WHY, each with a NUL byte behind it.
# Given in order of their folders, for what is true of one is true of its neighbours.
sort_out() {  # LOCATION...
  for location; do
    folder=${location%/*}
    case $location in
    */.) folder='' ;;
    '?'*) folder='' ;;
    @*) folder=${folder#@}; if [ -L "${location#@}" ]; then folder=''; fi ;;
    esac
    [ "$folder" ] && [ "$folder" = "$last" ] || decide "$location"
    last=$folder
    case $who in
    0) continue ;;
    -) name='' ;;
    *) case " $accounts" in *" $who "*) ;; *) accounts="$accounts$who " ;; esac ;;
    esac
    foreign=$foreign$location$nl theirs=$theirs$who' '$location$nl
    printf '%s\0%s\0%s\0%s\0' "$location" "$who" "$name" "$why"
  done
  printf '\0'
}

# Whether a location is for whoever runs this to look at.
mine() {  # LOCATION
  case $foreign in *"$nl$1$nl"*) return 1 ;; esac
}
