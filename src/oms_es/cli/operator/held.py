"""What a person gives to a check of the log: keys that they trust, and checkpoints that they have kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from oms_es.proof.notes import VerifierKey, verifier_key
from oms_es.proof.tree import BadProof
from oms_es.store.sealing import folder
from oms_es.verification.seal_checks import Signed

KEYS = typer.Option("--key", metavar="KEY", help="A trusted public key, or a file with it; may be repeated.")
WITNESSES = typer.Option(
    "--witness", metavar="KEY", help="The key of a witness that must have co-signed; may be repeated."
)
Keys = Annotated[list[str] | None, KEYS]
Witnesses = Annotated[list[str] | None, WITNESSES]
Against = Annotated[
    list[Path] | None,
    typer.Option("--against", metavar="FILE", help="A checkpoint that you kept elsewhere, or a folder of checkpoints."),
]


def trusted_keys(given: Sequence[str] | None) -> list[VerifierKey]:
    return [key_of(one) for one in given or ()]


def held_checkpoints(paths: Sequence[Path] | None) -> list[Signed]:
    """Return the checkpoints in these files and folders."""
    files = [file for path in paths or () for file in ([path] if not path.is_dir() else folder.checkpoints_in(path))]
    if paths and not files:
        raise typer.BadParameter(f"there is no checkpoint in {', '.join(map(str, paths))}")
    return [Signed(str(file), text_of(file)) for file in files]


def key_of(given: str) -> VerifierKey:
    """Return the key from its text, or from the file that contains it. Raise BadProof."""
    if "+" in given:
        return verifier_key(given)
    return verifier_key(text_of(Path(given)))


def text_of(path: Path, bytes_max: int = 1_000_000) -> str:
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)[: bytes_max + 1].decode()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadProof(f"{path} is no text in UTF-8") from None
