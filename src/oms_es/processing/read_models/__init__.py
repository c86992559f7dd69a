"""Read models in PostgreSQL: rows are loaded, folded and written back a batch at a time.

`model` is one projection's rows, `rows` the table, `folding` what events do to them, `lookups` what reactions ask of
them. Imports: store and below.
"""
