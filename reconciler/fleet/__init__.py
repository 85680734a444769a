"""Hosts: connections, looks, and apply."""

import sys

# paramiko loads invoke, a fifth of our start, for `Match exec` in ssh_config, which is not read
# here; it does without where invoke is not there.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
