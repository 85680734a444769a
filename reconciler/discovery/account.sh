#!/bin/sh
# Prints the sync account as NAME:HOME, and how many keys that are not ours may log in to it.
properties=/etc/dataone/node.properties
name=$(sed -n 's/^cn\.rsyncuser[[:space:]]*=[[:space:]]*//p' "$properties" | tail -n 1)
entry=$(getent passwd -- "${name:-rsync_user}" | cut -d: -f1,6)
echo "$entry"
# A key of ours ends with "reconciler ENVIRONMENT HOST"; comments and empty lines are no keys.
as=
# As the account, for its home may hold a link, or a pipe.
if [ "$entry" ] && [ "$(id -u)" = 0 ]; then as="timeout 5 runuser -u ${entry%%:*} --"; fi
keys=/etc/ssh/reconciler/authorized_keys
[ -e "$keys" ] || keys=${entry#*:}/.ssh/authorized_keys
[ ! "$entry" ] || $as grep -D skip -Ecv '^[[:space:]]*(#|$)|reconciler [A-Za-z0-9-]+ ' "$keys"
