"""Errors that need more explanation than their own line: each carries a code in brackets. Pure.

docs/troubleshooting.md is generated from this table; the shell scripts that run on hosts spell the code out.
"""

from __future__ import annotations

import enum

HOSTS, PLANS, CERTIFICATE = "A host cannot be observed", "A plan is not carried out", "The certificate"


class Message(enum.Enum):
    """A known problem: its code, the chapter of the docs, what is wrong, and what to do about it.

    In a text it stands as its code in brackets. A code is never given another meaning.
    """

    HOST_KEY_UNKNOWN = (
        "host-key-unknown",
        HOSTS,
        "no key of this host is pinned",
        (
            "compare the fingerprint with the one on the host's console; only then add the line that the"
            " message gives to `ssh.known_hosts`"
        ),
    )
    HOST_KEY_REVOKED = (
        "host-key-revoked",
        HOSTS,
        "the host offers a key that known_hosts marks as @revoked",
        (
            "make the host new keys (`rm /etc/ssh/ssh_host_*key*; ssh-keygen -A`), restart its sshd, and pin"
            " the new one; if it has new ones already, another machine is answering in its place"
        ),
    )
    HOST_KEY_CHANGED = (
        "host-key-changed",
        HOSTS,
        "the host offers another key than the pinned one",
        (
            "if the host was rebuilt, replace the pinned line; if not, stop: another machine may be"
            " answering in its place"
        ),
    )
    SSH_CONFIG = (
        "ssh-config",
        HOSTS,
        "what ssh's configuration says of a host cannot be followed",
        (
            "the message names file and line: correct it there, or say in the environment file how the host"
            " is reached (`address:`, and `user`, `port`, `jump` of its `ssh:`); `ssh.config: none` leaves"
            " that file out of account"
        ),
    )
    LOGIN_REFUSED = (
        "login-refused",
        HOSTS,
        "sshd refuses the login",
        (
            "check that the public key of `ssh.identity` is in the account's `authorized_keys` on the host,"
            " and read what sshd logged there (`journalctl -u ssh`): it says why an account or a key is"
            " refused"
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
        "the name of a host does not resolve on this machine",
        "try `getent hosts NAME`; if only the hosts know each other's names, set `hosts: address`",
    )
    NO_ANSWER = (
        "no-answer",
        HOSTS,
        "the host does not answer, or does not speak SSH",
        (
            "run `ssh -v HOST` from here. Connection refused: the host is up but sshd is not, or `ssh.port`"
            " is wrong. No answer at all: the host is down, or a network or firewall is in the way"
        ),
    )
    NOT_ROOT = (
        "not-root",
        HOSTS,
        "the account may not become root",
        (
            "`plan` and `drift` report what the account can see (exit code 3); `apply` needs root: allow it"
            " in sudoers"
        ),
    )
    TOO_LONG = (
        "too-long",
        HOSTS,
        "a command exceeded its time limit and was ended",
        (
            "log in and find out what hangs (a file system, a locked database, a full disk); `--timeout`"
            " allows more time"
        ),
    )
    FOREIGN_FOLDER = (
        "foreign-folder",
        HOSTS,
        "other accounts can change what a declared path leads to, so root does not act there",
        (
            "the message says which folder, and who can write to it. What one account can change is looked at"
            " and changed as that account, and fails where it may not do that: declare it as the `owner`, or"
            " give the folder to root (`chown root:root FOLDER; chmod go-w FOLDER`). Where several can"
            " write, nothing is done: take that right from all but one, or declare another path"
        ),
    )
    COMMAND_MISSING = (
        "command-missing",
        HOSTS,
        "a host lacks a command that every look needs",
        "install what the message names; hosts need sh, coreutils, findutils, util-linux, openssl and acl",
    )
    NO_REPORT = (
        "no-report",
        HOSTS,
        "the host's answer is not the one that was asked for",
        "a start-up file of the account probably replaces or ends the shell; try `ssh HOST sh`",
    )

    STALE = (
        "stale",
        PLANS,
        "the hosts or the YAML have changed since the plan was made",
        "each line says what differs and on which host; what differs was not carried out. Make a new plan",
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
        "another run is in progress",
        (
            "`reconcile unlock ENV` says whose it is; a host frees the lock of a run of which it"
            " hears nothing after a minute. `--break` ends it without asking anybody"
        ),
    )
    NEEDS_APPROVAL = (
        "needs-approval",
        PLANS,
        "too few people have approved the plan",
        (
            "have it approved with `reconcile approve PLAN` by as many different people as `policy:"
            " approvers` demands"
        ),
    )
    UNKNOWN_SIGNER = (
        "unknown-signer",
        PLANS,
        "an approval is signed by an unknown key",
        (
            "the key is not in the `policy: allowed_signers` of this checkout, or the approval was altered"
            " after it was signed"
        ),
    )
    OWN_APPROVAL = (
        "own-approval",
        PLANS,
        "an approval is of somebody who has changed the environment, or that cannot be excluded",
        (
            "have somebody else approve it. Authors are those of the last commits of the environment file and"
            " of the files that it names: what is not committed has none. `policy: author_may_approve` lets"
            " such approvals count"
        ),
    )
    TAMPERED = (
        "tampered",
        PLANS,
        "a plan file was changed after it was saved",
        "it was edited or truncated: make the plan again, and find out who changed the file",
    )
    OUTSIDE_WINDOW = (
        "outside-window",
        PLANS,
        "changes are not allowed at this time",
        "wait until one of `policy: windows` opens, or have the windows changed in the YAML",
    )
    TOO_MUCH = (
        "too-much",
        PLANS,
        "the plan does more than one run may do",
        (
            "find out why it does so much. If that is right: apply it in parts with `--host` or `--only`,"
            " or raise `policy: most_changes` or `most_removals`"
        ),
    )
    NO_JOURNAL = (
        "no-journal",
        PLANS,
        "the journal cannot be written",
        (
            "its folder is read-only, or the disk is full. Nothing is carried out until it can be written;"
            " `RECONCILE_STATE` can name another folder"
        ),
    )
    NO_PATH = (
        "no-path",
        PLANS,
        "what the journal tells of a run goes against the rules of a rollout",
        (
            "reconcile begins no such step: either it has a defect, or something else has written the entry."
            " Look at the hosts with `reconcile plan` and `verify`, keep a copy of the journal and report it;"
            " decision 28 has the rules"
        ),
    )
    NOT_SETTLED = (
        "not-settled",
        PLANS,
        "commands succeeded, but the result is not as desired",
        (
            "something on the host undid the change or ignores it: another tool that manages it, a file"
            " system that is mounted read-only, a unit that does not read its files. The message says what"
            " is observed now"
        ),
    )

    CA_CANNOT_SEE = (
        "ca-cannot-see",
        CERTIFICATE,
        "the CA would not find a challenge everywhere",
        (
            "no order was placed. Each line below names a host, a name, an address and what answered there;"
            " the usual cause is a vhost, DNS or a firewall"
        ),
    )
    CAA_FORBIDS = (
        "caa-forbids",
        CERTIFICATE,
        "the CA would refuse by the CAA records of the DNS",
        (
            "no order was placed. The message says for each name which domain has the set, and what it"
            " allows instead: another CA, another account (`accounturi`), or other methods than `challenge`."
            " Have the set changed where the DNS is kept; `reconcile verify` prints the record to publish"
        ),
    )
    REHEARSAL_FAILED = (
        "rehearsal-failed",
        CERTIFICATE,
        "the staging CA did not issue a certificate, so none was ordered",
        (
            "the last lines of certbot are above the message; the whole output is in"
            " `/var/log/letsencrypt/letsencrypt.log` on the primary"
        ),
    )
    NOT_ISSUED = (
        "not-issued",
        CERTIFICATE,
        "certbot reports success, but there is no new certificate",
        "read `/var/log/letsencrypt/letsencrypt.log` on the primary",
    )
    CA_ACCOUNT_UNKNOWN = (
        "ca-account-unknown",
        CERTIFICATE,
        "the CA no longer knows the account",
        (
            "move the `accounts` folder out of the way, as the message says; the next order creates a new"
            " account"
        ),
    )
    CERTBOT_TOO_OLD = (
        "certbot-too-old",
        CERTIFICATE,
        "certbot on the primary cannot ask for the profile",
        (
            "no order was placed. Install certbot 4.0 or newer there (the distribution's backports, a newer"
            " release of it, or certbot's own packages), or take `certificate: profile` out"
        ),
    )
    PROFILE_NOT_OFFERED = (
        "profile-not-offered",
        CERTIFICATE,
        "the CA has no profile of the declared name",
        (
            "no order was placed. The message says which the CA has: name one of them under `certificate:"
            " profile`, or none for the CA's default"
        ),
    )
    ORDER_LIMIT = (
        "order-limit",
        CERTIFICATE,
        "the CA would refuse another order",
        (
            "find out why the earlier orders failed or were needed; the message says when the next one is"
            " possible. The limits are `certificate: orders_a_week` and `failures_an_hour`"
        ),
    )
    ANOTHER_ORDER = (
        "another-order",
        CERTIFICATE,
        "another run, or a certbot that somebody has started, has been ordering for minutes",
        (
            "look at it on the primary (`ps -ef | grep -e certbot -e certificate.sh`): let it end, or end it"
            " if it hangs. Nothing was ordered beside it; the next run orders what is still needed"
        ),
    )
    NOT_HELD = (
        "not-held",
        CERTIFICATE,
        "a certificate that is declared compromised is not on the primary, so the CA cannot be told of it",
        (
            "nothing was revoked. Compare the number with `openssl x509 -noout -serial -in FILE`. Where the"
            " certificate lies elsewhere, revoke it there (`certbot revoke --reason keycompromise --cert-path"
            " FILE --key-path KEY`), and take the number out of `compromised`"
        ),
    )
    NOT_SERVED = (
        "not-served",
        CERTIFICATE,
        "a service does not serve the certificate that it was told to load",
        (
            "the last proven release was put back; the message says until when it is valid. Another"
            " certificate is served: the reload had no effect (`ExecReload` of the unit), or the service"
            " reads other files than `paths: certificate`. No handshake: the key does not match the"
            " certificate, or the service is down"
        ),
    )

    def __init__(self, code: str, chapter: str, what: str, then: str) -> None:
        self.code, self.chapter, self.what, self.then = code, chapter, what, then

    def __str__(self) -> str:
        return f"[{self.code}]"
