"""What is kept of the sealed log.

Invariant: tiles, checkpoints and head change in one transaction; a tile that is full and a checkpoint never change.
"""

from __future__ import annotations

HEAD = "oms_log_head"
TILES = "oms_log_tiles"
CHECKPOINTS = "oms_log_checkpoints"
KEYS = "oms_log_keys"
CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {HEAD} (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        origin text NOT NULL,
        size bigint NOT NULL,
        position bigint NOT NULL
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {TILES} (
        level smallint,
        number bigint,
        hashes bytea NOT NULL,
        positions bigint[], -- of the events of a tile of leaves
        PRIMARY KEY (level, number)
    )""",
    f"CREATE INDEX IF NOT EXISTS {TILES}_by_position ON {TILES} ((positions[1])) WHERE level = 0",
    f"""
    CREATE TABLE IF NOT EXISTS {CHECKPOINTS} (
        size bigint PRIMARY KEY,
        position bigint NOT NULL,
        note text NOT NULL,
        signed_at timestamptz NOT NULL DEFAULT now()
    )""",
    f"""
    CREATE TABLE IF NOT EXISTS {KEYS} (
        public text PRIMARY KEY,
        secret text, -- of a key that was made here
        made_at timestamptz NOT NULL DEFAULT now()
    )""",
)
