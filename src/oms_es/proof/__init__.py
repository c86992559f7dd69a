"""Cryptographic proofs of the log: entries, Merkle trees, tiles, signed checkpoints, and proofs that need no database.

Pure: no I/O, clock or chance. Imports: errors, exit_codes. The formats are those of RFC 9162 and of C2SP (signed-note,
tlog-checkpoint, tlog-cosignature, tlog-tiles), so that other tools can read them.
"""
