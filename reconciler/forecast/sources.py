"""Where the dated rules come from, and the tables of days that several of them share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Source:
    """Who says so, and of which day the copy is that was read."""

    url: str
    read: date


LE_45 = Source("https://letsencrypt.org/2025/12/02/from-90-to-45", date(2026, 8, 21))
LE_PROFILES = Source("https://letsencrypt.org/docs/profiles/", date(2026, 8, 21))
LE_CHAINS = Source("https://letsencrypt.org/certificates/", date(2026, 8, 21))
LE_FEATURES = Source("https://letsencrypt.org/upcoming-features/", date(2026, 8, 21))
BR = Source("https://github.com/cabforum/servercert/blob/f884280/docs/BR.md", date(2026, 5, 4))
CHROME = Source("https://g.co/chrome/root-policy", date(2026, 3, 6))
CERTBOT = Source("https://github.com/certbot/certbot/blob/main/certbot/CHANGELOG.md", date(2026, 6, 24))
NIST = Source("https://letsencrypt.org/2026/06/03/pq-certs", date(2026, 8, 21))
POSTGRESQL = Source("https://endoflife.date/postgresql", date(2026, 8, 22))
TOMCAT = Source("https://endoflife.date/tomcat", date(2026, 8, 22))
END = Source("https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5", date(2026, 11, 26))

CLASSIC_64, CLASSIC_45 = date(2027, 2, 10), date(2028, 2, 16)
GEN_2024 = tuple(f"E{n}" for n in range(5, 10)) + tuple(f"R{n}" for n in range(10, 15))
GEN_Y = ("YE1", "YE2", "YE3", "YR1", "YR2", "YR3")
POSTGRESQL_ENDS = {
    "9.5": "2021-02-11", "9.6": "2021-11-11", "10": "2022-11-10", "11": "2023-11-09", "12": "2024-11-21",
    "13": "2025-11-13", "14": "2026-11-12", "15": "2027-11-11", "16": "2028-11-09", "17": "2029-11-08",
    "18": "2030-11-14",
}  # fmt: skip
TOMCAT_ENDS = {
    "7": "2021-03-31", "8": "2024-03-31", "8.0": "2018-06-30", "8.5": "2024-03-31", "9": "2027-03-31",
    "9.0": "2027-03-31", "10.0": "2022-10-31",
}  # fmt: skip
"""Debian's tomcat8 is 8.5."""
