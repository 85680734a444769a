"""Errors that need more than their own words: each ends with a code in brackets. Pure.

docs/troubleshooting.md is made of this table; the shell scripts that run on hosts write the code out.
"""

from __future__ import annotations

import enum

HOSTS, PLANS, CERTIFICATE = "A host cannot be looked at", "A plan is not carried out", "The certificate"


class Message(enum.Enum):
    """What was found to be wrong, by its code, the chapter it belongs to and what to do about it.

    In a text it stands as its code in brackets. A code is never given another meaning.
    """

    HOST_KEY_UNKNOWN = (
        "host-key-unknown",
        HOSTS,
        "no key of this host is pinned",
        (
            "compare the fingerprint on the host's console; only then add the line that the message gives"
            " to `ssh.known_hosts`"
        ),
    )
    HOST_KEY_CHANGED = (
        "host-key-changed",
        HOSTS,
        "another key is pinned",
        "rebuilt: replace the pinned line. Not rebuilt: stop, somebody else may answer there",
    )
    LOGIN_REFUSED = (
        "login-refused",
        HOSTS,
        "sshd does not let the account in",
        (
            "see whether the public key of `ssh.identity` is in the account's `authorized_keys` over"
            " there, and what sshd logged (`journalctl -u ssh`); it says there why an account or a key is"
            " not accepted"
        ),
    )
    NO_KEY = (
        "no-key",
        HOSTS,
        "this machine has no key to log in with",
        "set `ssh.identity`, or add a key to an agent (`ssh-add -l` lists them)",
    )
    NO_ADDRESS = (
        "no-address",
        HOSTS,
        "the name of a host does not resolve here",
        "`getent hosts NAME`; where only hosts know each other's names, set `hosts: address`",
    )
    NO_ANSWER = (
        "no-answer",
        HOSTS,
        "nobody answers, or not with SSH",
        (
            "`ssh -v HOST` from here. Refused: the host is up and sshd is not, or `ssh.port` is another."
            " Silent: the host, its network or a firewall"
        ),
    )
    NOT_ROOT = (
        "not-root",
        HOSTS,
        "the account may not become root",
        ("`plan` and `drift` go on as far as the account can see (code 3); for `apply` allow it in sudoers"),
    )
    TOO_LONG = (
        "too-long",
        HOSTS,
        "a command outlasted its time and was ended",
        (
            "log in and see what hangs (a file system, a locked database, a full disk); `--timeout` gives"
            " it longer"
        ),
    )
    COMMAND_MISSING = (
        "command-missing",
        HOSTS,
        "a host lacks a tool that every look needs",
        "install what is named; hosts need sh, coreutils, findutils, util-linux, openssl, acl",
    )
    NO_REPORT = (
        "no-report",
        HOSTS,
        "a host answered something else than what was asked",
        "a start-up file of the account replaces the shell, or ends it; try `ssh HOST sh`",
    )

    STALE = (
        "stale",
        PLANS,
        "the hosts or the YAML have gone on since the plan was made",
        "each line says what differs, and where. Nothing was done for it; make a new plan",
    )
    EXPIRED = (
        "expired",
        PLANS,
        "the plan is older than `policy: expires` allows",
        "make a new one; approvals of the old one do not count for it",
    )
    LOCKED = (
        "locked",
        PLANS,
        "somebody else's run is under way",
        "`reconcile unlock ENV` says whose. `--break` ends it, and asks nobody",
    )
    NEEDS_APPROVAL = (
        "needs-approval",
        PLANS,
        "too few people have approved it",
        "`reconcile approve PLAN` by as many different people as `policy: approvers` wants",
    )
    UNKNOWN_SIGNER = (
        "unknown-signer",
        PLANS,
        "an approval is nobody's",
        "the key is not in the `policy: allowed_signers` of this checkout, or the approval was changed",
    )
    TAMPERED = (
        "tampered",
        PLANS,
        "a plan file is not as it was saved",
        "it was edited or cut short; make it again, and ask who touched it",
    )
    OUTSIDE_WINDOW = (
        "outside-window",
        PLANS,
        "changes may not be made now",
        "wait until one of `policy: windows` opens, or have them changed in the YAML",
    )
    TOO_MUCH = (
        "too-much",
        PLANS,
        "it does more than one run may do",
        (
            "look why it is so much. If it is right: `--host` or `--only` in parts, or a higher `policy:"
            " most_changes` or `most_removals`"
        ),
    )
    NO_JOURNAL = (
        "no-journal",
        PLANS,
        "what would be done could not be written down",
        (
            "the journal's folder is read-only, or its disk is full: nothing is done until it can be"
            " written, or `RECONCILE_STATE` names another folder"
        ),
    )
    NOT_SETTLED = (
        "not-settled",
        PLANS,
        "commands ended well, and it is not as wanted all the same",
        (
            "something on the host undid it or does not obey: another tool that manages it, a file system"
            " mounted read-only, a unit that ignores its files. The message has what is seen now"
        ),
    )

    CA_CANNOT_SEE = (
        "ca-cannot-see",
        CERTIFICATE,
        "a challenge would not be found everywhere",
        (
            "no order was placed. Each line below names a host, a name, an address and what it answered;"
            " most often a vhost, DNS, or a firewall"
        ),
    )
    REHEARSAL_FAILED = (
        "rehearsal-failed",
        CERTIFICATE,
        "the staging CA did not issue, so nothing was ordered",
        (
            "certbot's last lines stand above it; the whole is in `/var/log/letsencrypt/letsencrypt.log`"
            " on the primary"
        ),
    )
    NOT_ISSUED = (
        "not-issued",
        CERTIFICATE,
        "certbot says that it succeeded, and there is no new certificate",
        "look at `/var/log/letsencrypt/letsencrypt.log` on the primary",
    )
    CA_ACCOUNT_UNKNOWN = (
        "ca-account-unknown",
        CERTIFICATE,
        "the CA does not know the account any more",
        "move the `accounts` folder away, as it says; the next order makes a new account",
    )
    ORDER_LIMIT = (
        "order-limit",
        CERTIFICATE,
        "the CA would refuse another order",
        (
            "find out why the earlier ones failed or were needed; the message says from when on one is"
            " possible. The limits are `certificate: orders_a_week` and `failures_an_hour`"
        ),
    )
    NOT_SERVED = (
        "not-served",
        CERTIFICATE,
        "a service does not serve what it was told to load",
        (
            "the last proven release was put back, and until when that is good was told. Another"
            " certificate: the reload did nothing (`ExecReload` of the unit), or it reads other files than"
            " `paths: certificate`. No handshake: its key does not fit, or it is down"
        ),
    )

    def __init__(self, code: str, chapter: str, what: str, then: str) -> None:
        self.code, self.chapter, self.what, self.then = code, chapter, what, then

    def __str__(self) -> str:
        return f"[{self.code}]"
