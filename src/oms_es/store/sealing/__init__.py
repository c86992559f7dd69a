"""The sealed log in PostgreSQL: its tree in tiles, its checkpoints, the keys that sign them, and proofs made from them.

Imports: database, proof.
"""
