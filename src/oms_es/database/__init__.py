"""The choice of PostgreSQL: the embedded one, started on this machine, or a given server. Imports: settings."""
