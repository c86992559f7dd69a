"""An event-sourced order engine; `docs/explanation/architecture.md` says what each folder holds.

Imports point down, as the contracts in `pyproject.toml` say; every package says what it may import.
"""
