"""The headings under which a plan is read, and what stands out in it.

Each kind states its own (`Resource.subject`), and each part of the blueprint that of all it declares.
"""

from __future__ import annotations

from enum import StrEnum


class Subject(StrEnum):
    """The headings of a plan, in the order of the procedure."""

    PROGRAMS = "programs and clock"
    NODE = "node.properties"
    ACCOUNTS = "accounts and keys"
    CHALLENGE = "challenge"
    CERTIFICATE = "certificate and renewal"
    DISTRIBUTION = "distribution"
    SERVICES = "services"
    ROLLOUT = "switch and proof"
    FILES = "files"
    SYSTEM = "system"


class Risk(StrEnum):
    """What a reader should know of a plan before all else."""

    REFUSED = "refused"
    ORDER = "order at the CA"
    REVOCATION = "revocation"
    RESTART = "restart"
    STOP = "stop"
    REMOVAL = "removal"
