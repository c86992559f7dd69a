"""Read models: one file per table, named as the table is, with its columns and how each event changes a row.

Imports: schemas, kernel and `base`. A change of columns or folds raises the version of the projection.
"""
