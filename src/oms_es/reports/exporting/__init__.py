"""The log and its facts as Parquet files, for people who work with DuckDB, Polars, pandas or Spark.

Invariant: every event up to the manifest's position is in one file of the manifest, once, whenever the export was
killed: a file is named when it is whole, the manifest is replaced when its files are, and what stands in no manifest is
removed by the next run.
"""
