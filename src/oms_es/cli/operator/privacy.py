"""`oms-es privacy`: the keys under which personal data is encrypted, and the key that wraps them."""

from __future__ import annotations

import typer

from oms_es.cli.operator.running import IN_THE_CLEAR
from oms_es.cli.terminal import Json, data_keys_of, print_json, reading, say, set_up
from oms_es.database.rows import connected
from oms_es.database.selection import database
from oms_es.store.privacy import rotation
from oms_es.store.privacy.wrapping import HOW, NoDataKey, id_of

app = typer.Typer(help="The keys under which personal data is encrypted.", no_args_is_help=True)


@app.command("status")
def status(*, json: Json = False) -> None:
    """Whether personal data is encrypted, under how many keys, and which key wraps them."""
    with reading(set_up()) as connection:
        found = rotation.standing(connection)
    if json:
        print_json(found._asdict())
    elif not found.wraps_with:
        say(IN_THE_CLEAR)
    else:
        typer.echo(f"encrypted: {found.orders:,} orders have a key, wrapped with {found.wraps_with}")
        if found.others:
            say(f"some may still be wrapped with {', '.join(found.others)}: `oms-es privacy rotate`")


@app.command("rotate")
def rotate(*, json: Json = False) -> None:
    """Wrap the keys of all orders with the first data key that is given; no event changes.

    Give every process the new key before the old one, start them again, then rotate; then take the old one away.
    """
    settings = set_up()
    keys = data_keys_of(settings)
    if not keys:
        raise NoDataKey(f"no data key is given: {HOW}")
    with reading(settings) as connection:
        before = rotation.standing(connection)
    if not before.wraps_with:
        raise NoDataKey("nothing is encrypted here yet: `oms-es migrate` begins it")
    with database(settings, "reader") as place, connected(place.url) as rows:
        done = rotation.rotate(rows, id_of(keys[0]))
    if json:
        print_json(done._asdict())
        return
    typer.echo(f"{done.wrapped:,} keys are now wrapped with {done.to}")
    for one in done.let_go:
        say(f"nothing here needs the key {one} any more; backups from before do")
