"""What is in the base image: packages, files, and the script that settles them.

The image is named after a digest of all this, so every change here builds a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUITE: Final = "bookworm"

PACKAGES: Final = (
    "systemd systemd-sysv dbus openssh-server sudo iproute2 iputils-ping net-tools acl attr "
    "e2fsprogs rsync cron logrotate apache2 postgresql tomcat10 openssl ca-certificates curl "
    "bsd-mailx msmtp-mta ssl-cert adduser procps bind9-dnsutils tomcat10-admin"
)

# Not installed, but their archives are in the image: installing them is a real action
# for the program under test, and works in a host that has no network.
OFFERED: Final = ("certbot", "tree", "nginx", "haproxy", "dovecot-imapd", "postfix", "slapd", "vsftpd")

# What must be active before a host counts as up. postgresql.service is only a wrapper
# that stays active whatever the cluster does, hence the instance.
SERVICES: Final = ("ssh", "apache2", "postgresql@15-main", "tomcat10")

# Timers would change hosts behind a test's back; the network units have nothing to manage.
MASKED: Final = (
    "apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer "
    "logrotate.timer dpkg-db-backup.timer systemd-networkd.service systemd-resolved.service "
    "systemd-timesyncd.service getty@tty1.service console-getty.service"
)

ADMIN_UID: Final = 1000
LOOKER_UID: Final = 1001

MAIL_SINK: Final = """\
#!/bin/sh
# Every mail a host sends is appended to one file, so that a test can read it.
case $0 in *newaliases) exit 0 ;; esac # the link that a mail server's package brings, and runs
exec flock /var/mail/sink sh -c '{ echo "--- to $*"; cat; echo; } >>/var/mail/sink' sink "$@"
"""

SSHD: Final = """\
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
HostKey /etc/ssh/ssh_host_ed25519_key
UseDNS no
MaxStartups 200:30:400
# The default, sntrup761x25519, costs a client 70 ms of CPU for each login instead of 10.
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
"""

TOMCAT: Final = (
    'JAVA_OPTS="-Djava.awt.headless=true -Xms16m -Xmx96m -XX:+UseSerialGC '
    '-XX:TieredStopAtLevel=1 -Xshare:auto"\n'
)

# The connector's files come with the certificate; until then it fails to start, alone.
CURRENT: Final = "/var/lib/reconciler/certificate/current"
TOMCAT_TLS: Final = (
    '<Connector port="8443" protocol="org.apache.coyote.http11.Http11NioProtocol" SSLEnabled="true"'
    ' scheme="https" secure="true" maxThreads="20"><SSLHostConfig><Certificate type="RSA"'
    f' certificateFile="{CURRENT}/cert.pem" certificateKeyFile="{CURRENT}/privkey.pem"'
    f' certificateChainFile="{CURRENT}/chain.pem"/></SSLHostConfig></Connector>'
)
# Nothing here has tag libraries or fragments: looking for them is two thirds of what a start costs.
# https://tomcat.apache.org/tomcat-10.1-doc/config/jar-scan-filter.html
JARS_TO_SKIP: Final = "tomcat.util.scan.StandardJarScanFilter.jarsToSkip"
TOMCAT_USERS: Final = """\
<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0">
  <role rolename="manager-script"/>
  <user username="reconcile" password="only-on-loopback" roles="manager-script"/>
</tomcat-users>
"""
# Debian's own, with the limit that this file in place of the application's would lift.
TOMCAT_MANAGER: Final = """\
<Context path="/manager" docBase="/usr/share/tomcat10-admin/manager" privileged="true">
  <Valve className="org.apache.catalina.valves.RemoteCIDRValve" allow="127.0.0.0/8, ::1/128"/>
</Context>
"""
NETRC: Final = "machine 127.0.0.1 login reconcile password only-on-loopback\n"
TOMCAT_RELOAD: Final = (
    "curl -fsS --netrc-file /etc/tomcat10/reconcile.netrc http://127.0.0.1:8080/manager/text/sslReload"
)

# As the portal's package leaves them; the password is a canary.
PORTAL: Final = """\
# The portal's settings
cn.server.publiccert.filename=/etc/dataone/old/cert.pem
cn.server.privatekey.filename=/etc/dataone/old/key.pem
cilogon.password=canary-portal
"""

POSTGRESQL: Final = "shared_buffers = 16MB\nfsync = off\nlisten_addresses = '*'\n"

# path in the image -> (mode, text)
FILES: Final[Mapping[str, tuple[int, str]]] = {
    "etc/ssh/sshd_config.d/lab.conf": (0o644, SSHD),
    "etc/sudoers.d/ops": (0o440, "ops ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    "etc/default/tomcat10": (0o644, TOMCAT),
    "etc/postgresql/15/main/conf.d/lab.conf": (0o644, POSTGRESQL),
    "usr/local/lib/lab/sendmail": (0o755, MAIL_SINK),
    "etc/tomcat10/tomcat-users.xml": (0o640, TOMCAT_USERS),
    "etc/tomcat10/Catalina/localhost/manager.xml": (0o644, TOMCAT_MANAGER),
    "etc/tomcat10/reconcile.netrc": (0o600, NETRC),
    "var/lib/tomcat10/webapps/portal/WEB-INF/portal.properties": (0o600, PORTAL),
    "var/lib/tomcat10/webapps/cn/WEB-INF/classes/org/dataone/configuration/portal.properties": (
        0o644,
        PORTAL,
    ),
}

# Runs in the image with /proc mounted: Java's package needs it, and without it stays
# half configured while everything claims success. policy-rc.d keeps services from starting.
SETTLE: Final = f"""\
set -eu
printf 'exit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
useradd --create-home --shell /bin/bash --uid {ADMIN_UID} ops
useradd --create-home --shell /bin/bash --uid {LOOKER_UID} looker
install -d -m 700 -o ops -g ops /home/ops/.ssh
install -d -m 700 -o looker -g looker /home/looker/.ssh
dpkg-divert --quiet --local --rename --add /usr/sbin/sendmail
ln -s /usr/local/lib/lab/sendmail /usr/sbin/sendmail
install -m 666 /dev/null /var/mail/sink
for unit in {MASKED}; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
sed -i 's|</Service>|{TOMCAT_TLS}</Service>|' /etc/tomcat10/server.xml
sed -i 's|^{JARS_TO_SKIP}=.*|{JARS_TO_SKIP}=*.jar,\\\\|' /etc/tomcat10/catalina.properties
chgrp tomcat /etc/tomcat10/tomcat-users.xml
chown -R tomcat:tomcat /var/lib/tomcat10/webapps/portal /var/lib/tomcat10/webapps/cn
update-ca-certificates >/dev/null
apt-get clean
apt-get -qq -y --download-only install {" ".join(OFFERED)}
rm -f /usr/sbin/policy-rc.d /etc/ssh/ssh_host_*
: >/etc/resolv.conf
: >/etc/machine-id
broken=$(dpkg --audit)
test -z "$broken" || {{ echo "half configured: $broken" >&2; exit 1; }}
"""
