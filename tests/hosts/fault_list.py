"""Faults injected behind the program's back, by layer: what somebody or something did to a settled host, as
shell for root there. `test_soak_faults.py` tries them one at a time and three at a time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.serving import ARCHIVE, LIVE, ROUTER, STORE

KEYS = "/etc/ssh/reconciler"
CHALLENGES = "/var/www/.well-known/acme-challenge"
SSL_CONF = "/etc/apache2/sites-available/cn-ssl.conf"
PG_CONF = "/etc/postgresql/15/main/conf.d"
PORTAL = "/var/lib/tomcat10/webapps/portal/WEB-INF/portal.properties"
RENEWAL = f"/etc/letsencrypt/renewal/{ROUTER}.conf"
PSQL = "cd / && runuser -u postgres -- psql -qc"

PRIMARY, REPLICA = 0, 1


@dataclass(frozen=True)
class Fault:
    """What was done, and what a run makes of it.

    name    what a test calls it: the layer, then the thing
    done    shell that does it
    at      which host: the primary or a replica
    undone  shell that takes back what a run must leave alone and name; empty where a run mends it
    told    words with which a run names it; empty where a run mends it
    fine    whether nothing is wrong with it: the host is as declared, though it looks otherwise
    cuts    whether the fault itself ends what the host serves
    hides   whether nothing of the host can be seen with it
    """

    name: str
    done: str
    at: int = REPLICA
    undone: str = ""
    told: str = ""
    fine: bool = False
    cuts: bool = False
    hides: bool = False

    @property
    def layer(self) -> str:
        return self.name.split(":")[0]


def drawn(draw: random.Random, faults: Iterable[Fault]) -> list[Fault]:
    """Three of the faults, of three layers: two of one layer may be about the same thing."""
    known = list(faults)
    layers = draw.sample(sorted({each.layer for each in known}), 3)
    return [draw.choice([each for each in known if each.layer == layer]) for layer in layers]


def missing(program: str, at: int = REPLICA) -> Fault:
    """A program that has gone, though dpkg knows of its package."""
    return Fault(
        f"tools: {program} is gone",
        f"mv $(command -v {program}) /root/hidden",
        at,
        f"mv /root/hidden /usr/bin/{program}",
        program,
    )


def moved(path: str, at: int = REPLICA) -> Fault:
    """A folder that lies on another disk, with a link in its place."""
    disk = f"/srv/disk{path}"
    return Fault(
        f"links: {path} is a link to another disk",
        f"mkdir -p $(dirname {disk}) && mv {path} {disk} && ln -s {disk} {path}",
        at,
        f"rm {path} && mv {disk} {path}",
        fine=True,
    )


FAULTS = [
    # -- ssh and who may log in
    Fault(
        "ssh: sshd is stopped",
        "systemctl stop ssh",
        undone="systemctl start ssh",
        told="refuses connections",
        hides=True,
    ),
    Fault(
        "ssh: another host key",
        "cd /etc/ssh && cp -p ssh_host_ed25519_key /root/hk && cp -p ssh_host_ed25519_key.pub /root/hk.pub"
        " && rm ssh_host_ed25519_key && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key && systemctl restart ssh",
        undone="cd /etc/ssh && mv /root/hk ssh_host_ed25519_key && mv /root/hk.pub ssh_host_ed25519_key.pub"
        " && systemctl restart ssh",
        told="host key",
        hides=True,
    ),
    Fault(
        "ssh: DenyUsers ops",
        "echo 'DenyUsers ops' >/etc/ssh/sshd_config.d/00-deny.conf && systemctl reload ssh",
        undone="rm /etc/ssh/sshd_config.d/00-deny.conf && systemctl reload ssh",
        told="could not be looked at",
        hides=True,
    ),
    Fault(
        "ssh: AllowGroups without the sync account's",
        "echo 'AllowGroups ops' >/etc/ssh/sshd_config.d/zz-allow.conf && systemctl reload ssh",
        undone="rm /etc/ssh/sshd_config.d/zz-allow.conf && systemctl reload ssh",
        told="AllowGroups",
    ),
    Fault("ssh: our drop-in is gone", "rm /etc/ssh/sshd_config.d/10-reconciler.conf"),
    Fault("ssh: our drop-in is empty", ": >/etc/ssh/sshd_config.d/10-reconciler.conf"),
    Fault("ssh: authorized_keys is empty", f": >{KEYS}/authorized_keys"),
    Fault("ssh: authorized_keys is gone", f"rm {KEYS}/authorized_keys"),
    Fault("ssh: authorized_keys may be written by all", f"chmod 666 {KEYS}/authorized_keys"),
    Fault("ssh: known_hosts is gone", f"rm {KEYS}/known_hosts"),
    Fault(
        "ssh: known_hosts has another key for a peer",
        f"sed -i 's/AAAAC3Nza[^ ]*/AAAAC3NzaC1lZDI1NTE5AAAAIE/' {KEYS}/known_hosts",
    ),
    Fault("ssh: the key pair is gone", f"rm {KEYS}/id_ed25519 {KEYS}/id_ed25519.pub"),
    Fault("ssh: the key of the primary is gone", f"rm {KEYS}/id_ed25519 {KEYS}/id_ed25519.pub", PRIMARY),
    Fault(
        "ssh: the public key is another's",
        f"ssh-keygen -q -t ed25519 -N '' -f /root/k && mv /root/k.pub {KEYS}/id_ed25519.pub && rm /root/k",
    ),
    Fault("ssh: the key may be read by all", f"chmod 644 {KEYS}/id_ed25519"),
    Fault("ssh: the folder of the keys belongs to the account", f"chown -R rsync_user {KEYS}"),
    # -- accounts and PAM
    Fault("account: the sync account has another shell", "usermod -s /usr/sbin/nologin rsync_user"),
    Fault("account: the sync account has another home", "usermod -d /nowhere rsync_user"),
    Fault("account: the sync account is gone", "userdel rsync_user"),
    Fault(
        "account: the sync account has expired",
        "chage -E 0 rsync_user",
        undone="chage -E -1 rsync_user",
        told="expired",
    ),
    Fault("account: the sync account has a password", "echo 'rsync_user:secret' | chpasswd"),
    Fault("account: tomcat is not in the group", "gpasswd -d tomcat ssl-cert"),
    Fault(
        "account: the sync account may become root",
        "gpasswd -a rsync_user sudo",
        undone="gpasswd -d rsync_user sudo",
        told="sudo",
    ),
    Fault(
        "account: logins are closed",
        "touch /etc/nologin",
        undone="rm /etc/nologin",
        told="could not be looked at",
        hides=True,
    ),
    Fault(
        "account: PAM denies",
        "cp -p /etc/pam.d/sshd /root/pam && sed -i '1i account required pam_deny.so' /etc/pam.d/sshd",
        undone="mv /root/pam /etc/pam.d/sshd",
        told="could not be looked at",
        hides=True,
    ),
    Fault("sudo: our drop-in is gone", "rm /etc/sudoers.d/zz-reconciler-rsync_user"),
    Fault(
        "sudo: our drop-in may be written by its group", "chmod 660 /etc/sudoers.d/zz-reconciler-rsync_user"
    ),
    # -- files and folders of ours
    Fault("files: the wrapper is gone", "rm /usr/local/lib/reconciler/rsync-wrapper.sh"),
    Fault("files: the wrapper was edited", "echo 'exit 0' >>/usr/local/lib/reconciler/rsync-wrapper.sh"),
    Fault(
        "files: the wrapper is a link",
        "cd /usr/local/lib/reconciler && mv rsync-wrapper.sh /root/w && ln -s /root/w rsync-wrapper.sh",
        undone="mv /root/w /usr/local/lib/reconciler/rsync-wrapper.sh",
        told="rsync-wrapper.sh is a link",
    ),
    Fault("files: the folder of the wrapper is gone", "rm -r /usr/local/lib/reconciler"),
    Fault("files: our tool is gone", "rm /var/lib/reconciler/bin/release"),
    Fault("files: the folder of challenges is gone", f"rm -r {CHALLENGES}"),
    Fault(
        "files: the folder of challenges is root's", f"chown root:root {CHALLENGES} && chmod 755 {CHALLENGES}"
    ),
    Fault("files: the probe was edited", f"echo x >{CHALLENGES}/reconcile-probe"),
    Fault("files: node.properties lost a key", "sed -i '/^cn.rsyncuser/d' /etc/dataone/node.properties"),
    Fault("files: node.properties has a key twice", "echo cn.rsyncuser=other >>/etc/dataone/node.properties"),
    Fault("files: the certificate's link is gone", f"rm {STORE}/current"),
    Fault("files: the certificate's link leads nowhere", f"ln -sfn releases/none {STORE}/current"),
    Fault("files: the key may be read by all", f"chmod 644 {STORE}/current/privkey.pem"),
    Fault("files: the key was cut short", f"truncate -s 100 {STORE}/current/privkey.pem"),
    Fault("files: the whole chain is empty", f": >{STORE}/current/fullchain.pem"),
    Fault("files: the release is gone", f"rm -r {STORE}/$(readlink {STORE}/current)"),
    Fault("files: all releases are gone", f"rm -r {STORE}/releases"),
    moved("/var/www"),
    moved("/var/lib/reconciler"),
    moved("/etc/letsencrypt", PRIMARY),
    moved("/usr/local/lib/reconciler"),
    # -- ACL
    Fault("acl: all of it is gone", f"setfacl -b {CHALLENGES}"),
    Fault("acl: the default is gone", f"setfacl -k {CHALLENGES}"),
    Fault("acl: the mask takes it back", f"setfacl -m d:m::--- {CHALLENGES}"),
    # -- Apache
    Fault("apache: stopped", "systemctl stop apache2", cuts=True),
    Fault("apache: not started at boot", "systemctl disable -q apache2"),
    Fault(
        "apache: masked",
        "systemctl mask -q apache2",
        undone="systemctl unmask -q apache2",
        told="systemctl unmask apache2",
    ),
    Fault(
        "apache: frozen",
        "systemctl kill -s STOP apache2",
        undone="systemctl kill -s CONT apache2",
        told="apache",
        cuts=True,
    ),
    Fault("apache: ssl is disabled", "a2dismod -qf ssl"),
    Fault("apache: our site is disabled", "a2dissite -q cn-ssl && systemctl reload apache2", cuts=True),
    Fault("apache: our site was edited", f"sed -i 's/^ *SSLEngine.*//' {SSL_CONF}"),
    Fault("apache: our site is gone", f"rm {SSL_CONF}"),
    Fault("apache: the default site is back", "a2ensite -q 000-default && systemctl reload apache2"),
    Fault(
        "apache: a file that does not parse",
        "echo NoSuch >/etc/apache2/conf-enabled/zz.conf",
        undone="rm /etc/apache2/conf-enabled/zz.conf",
        told="NoSuch",
    ),
    Fault(
        "apache: listens on another port",
        "sed -i 's/Listen 80$/Listen 81/' /etc/apache2/ports.conf",
        undone="sed -i 's/Listen 81$/Listen 80/' /etc/apache2/ports.conf",
        told="80",
    ),
    # -- PostgreSQL
    Fault("postgresql: stopped", "systemctl stop postgresql@15-main", cuts=True),
    Fault(
        "postgresql: frozen",
        "systemctl kill -s STOP postgresql@15-main",
        undone="systemctl kill -s CONT postgresql@15-main",
        told="postgresql",
        cuts=True,
    ),
    Fault("postgresql: our file is gone", f"rm {PG_CONF}/zz-reconcile.conf"),
    Fault("postgresql: our file was edited", f"echo 'ssl = off' >>{PG_CONF}/zz-reconcile.conf"),
    Fault(
        "postgresql: ssl is off by ALTER SYSTEM",
        f"{PSQL} 'ALTER SYSTEM SET ssl = off'",
        undone=f"{PSQL} 'ALTER SYSTEM RESET ssl'",
        told="postgresql.auto.conf",
    ),
    Fault(
        "postgresql: a file that does not parse",
        f"echo 'no such' >{PG_CONF}/zzz.conf",
        undone=f"rm {PG_CONF}/zzz.conf",
        told="zzz.conf",
    ),
    # -- Tomcat
    Fault("tomcat: stopped", "systemctl stop tomcat10", cuts=True),
    Fault(
        "tomcat: frozen",
        "systemctl kill -s STOP tomcat10",
        undone="systemctl kill -s CONT tomcat10",
        told="tomcat",
        cuts=True,
    ),
    Fault(
        "tomcat: another key in the portal's file",
        f"sed -i 's|^cn.server.privatekey.filename=.*|cn.server.privatekey.filename=/x|' {PORTAL}",
    ),
    Fault(
        "tomcat: the portal is gone",
        f"mv {PORTAL} /root/portal",
        undone=f"mv /root/portal {PORTAL}",
        told=PORTAL,
    ),
    Fault(
        "tomcat: no connector for the port",
        'cp -p /etc/tomcat10/server.xml /root/server.xml && sed -i \'s/port="8443"/port="8444"/\' /etc/tomcat10/server.xml',
        undone="cp -p /root/server.xml /etc/tomcat10/server.xml",
        told="server.xml",
    ),
    # -- certbot and the lineage
    missing("certbot", PRIMARY),
    Fault(
        "certbot: its own timer is back",
        "rm /etc/systemd/system/certbot.timer && systemctl daemon-reload && systemctl enable -q --now certbot.timer",
        PRIMARY,
    ),
    Fault(
        "certbot: our script was edited", "echo 'exit 0' >>/etc/letsencrypt/renewal/certificate.sh", PRIMARY
    ),
    Fault("certbot: the hook is gone", "rm /etc/letsencrypt/renewal/manual-auth-hook.sh", PRIMARY),
    Fault(
        "certbot: the hook may not be run", "chmod 644 /etc/letsencrypt/renewal/manual-auth-hook.sh", PRIMARY
    ),
    Fault(
        "certbot: the notice is gone",
        "rm /etc/letsencrypt/renewal-hooks/deploy/notify-administrators",
        PRIMARY,
    ),
    Fault("certbot: the renewal file is gone", f"rm {RENEWAL}", PRIMARY),
    Fault(
        "certbot: the renewal file names another way",
        f"sed -i 's/^authenticator = .*/authenticator = standalone/' {RENEWAL}",
        PRIMARY,
    ),
    Fault("certbot: the account is gone", "rm -r /etc/letsencrypt/accounts", PRIMARY),
    Fault(
        "certbot: a link of the lineage leads nowhere",
        f"ln -sfn ../../archive/none/cert1.pem {LIVE}/cert.pem",
        PRIMARY,
    ),
    Fault(
        "certbot: a folder in place of a file of the lineage",
        f"f=$(readlink -f {LIVE}/chain.pem); mv $f /root/chain.pem; mkdir $f",
        PRIMARY,
        undone=f"f=$(readlink -f {LIVE}/chain.pem); rmdir $f; mv /root/chain.pem $f",
        told="is no file but a directory",
    ),
    Fault(  # the folders above it let nobody but root through
        "certbot: the key of the lineage may be read by all",
        f"chmod 644 {ARCHIVE}/privkey*.pem",
        PRIMARY,
        undone=f"chmod 600 {ARCHIVE}/privkey*.pem",
        fine=True,
    ),
    # -- cron
    Fault("cron: our job is gone", "rm /etc/cron.d/reconcile-certificate", PRIMARY),
    Fault(
        "cron: our job may be written by all, so cron ignores it",
        "chmod 666 /etc/cron.d/reconcile-certificate",
        PRIMARY,
    ),
    Fault("cron: our job is another's", "chown nobody /etc/cron.d/reconcile-certificate", PRIMARY),
    Fault("cron: it does not run", "systemctl stop cron", PRIMARY),
    Fault("cron: it is not started at boot", "systemctl disable -q cron", PRIMARY),
    Fault(
        "cron: masked",
        "systemctl mask -q --now cron",
        PRIMARY,
        "systemctl unmask -q cron",
        "systemctl unmask cron",
    ),
    # -- tools
    *map(missing, ("setfacl", "getfacl", "openssl", "flock", "curl", "ss", "sha256sum", "runuser")),
    missing("dig", PRIMARY),
    # -- disk
    Fault(
        "disk: no room for a release",
        f"mount -t tmpfs -o size=4k none {STORE}/releases",
        undone=f"umount {STORE}/releases",
        told="release",
    ),
]
