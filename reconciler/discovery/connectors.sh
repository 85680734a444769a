#!/bin/sh
# Prints of each server.xml, which holds passwords, only the names of its elements, their ports and
# whether TLS is on. The first command ends a record at each --> and drops the comment in it.
# A file may be one endless line, which awk would keep in memory.
# shellcheck disable=SC3045
ulimit -v 524288 2>/dev/null
for file in /etc/tomcat[0-9]*/server.xml; do
  [ -f "$file" ] && [ -r "$file" ] || continue
  echo "file=$file"
  awk 'BEGIN { RS = "-->" } { sub(/<!--.*/, ""); print }' "$file" | tr '\n' ' ' |
    grep -oE '<[A-Za-z]+|[[:space:]](port|SSLEnabled)="[^"]*"'
done
