"""The user's tables, whatever their form: delimited text, Parquet and JSON, here or in an object store."""
