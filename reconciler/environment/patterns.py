"""What the values of settings look like, as JSON Schema; `x-want` says it to people."""

from __future__ import annotations

VERSION = {"pattern": r"^[0-9]+(\.[0-9]+)?$", "x-want": 'a version in quotes, such as "15"'}
PORT = {"minimum": 1, "maximum": 65535}
HTTPS = r"https://[A-Za-z0-9._~:/?@!&()*+;=%\[\]-]+"
URL = {"pattern": f"^{HTTPS}$", "x-want": "a URL that begins with https://"}
"""Without what certbot's renewal file gives a meaning: quotes, commas, `#`, `$` (ConfigObj)."""
MAIL = {
    "pattern": r"^[A-Za-z0-9][^\s<>,;\"'`\x00-\x1f\x7f]*@[A-Za-z0-9][A-Za-z0-9.-]*$",
    "x-want": "a mail address",
}
COUNT = {"minimum": 1, "maximum": 1000}
