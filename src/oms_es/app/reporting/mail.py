"""A report as a message (RFC 5322), in a file that a mail system picks up.

Invariant: the same report to the same receivers gives the same bytes, under the same name and Message-ID, so that a
message that is written again is known again.
"""

from __future__ import annotations

from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256

from oms_es.reports.delivering.delivery import file_name
from oms_es.reports.delivering.formats import MEDIA_TYPES
from oms_es.schemas.operations.report import Format, ReportReady

NAME_LENGTH = 32


def named(ready: ReportReady) -> str:
    """Return the message's name: a hash of the report, its period and its files."""
    files = "\n".join(f"{file.format} {file.sha256}" for file in ready.files)
    return sha256(f"{ready.name}\n{ready.every}\n{ready.first_day}\n{files}".encode()).hexdigest()[:NAME_LENGTH]


def message(ready: ReportReady, files: Sequence[tuple[Format, bytes]], sender: str, receivers: Sequence[str]) -> bytes:
    """Return the message with the files attached, in lines that end as RFC 5322 has them."""
    name = named(ready)
    period = ready.first_day if ready.first_day == ready.last_day else f"{ready.first_day} to {ready.last_day}"
    written = EmailMessage(policy.SMTP)
    written["From"] = sender
    written["To"] = ", ".join(receivers)
    written["Subject"] = f"{ready.title}: {period}"
    written["Date"] = format_datetime(ready.made_at)
    written["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    written["Auto-Submitted"] = "auto-generated"
    names = [file_name(ready.name, ready.every, ready.first_day, form) for form, _ in files]
    written.set_content(f"{ready.title}\n{period}, days in {ready.timezone}\n\n" + "".join(f"{one}\n" for one in names))
    for one, (form, content) in zip(names, files, strict=True):
        main, _, sub = MEDIA_TYPES[form].partition("/")
        written.add_attachment(content, maintype=main, subtype=sub, filename=one)
    written.set_boundary(f"report-{name}")
    return written.as_bytes()
