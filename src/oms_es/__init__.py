"""An event-sourced order engine; `docs/explanation/architecture.md` says what each folder holds."""
