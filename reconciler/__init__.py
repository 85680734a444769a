"""Keep a certificate, and everything that depends on it, right on a fleet of hosts."""

__version__ = "0.1.0"
