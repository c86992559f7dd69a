"""Export of the log and the fact tables as Parquet files, for DuckDB, Polars, pandas or Spark.

Invariant: every event up to the manifest's position is in one file of the manifest, once, whenever an export was
killed. A file gets its name when it is complete, the manifest is replaced when its files are, and the next run removes
files that are in no manifest.
Imports: projections, store and `reports.queries`.
"""
