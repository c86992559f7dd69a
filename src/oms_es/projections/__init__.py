"""Read models: one file per table, named as the table is, with the columns and what each event does to a row.

Imports: schemas, kernel and `base`. A change of columns or folds raises the version of the projection.
"""
