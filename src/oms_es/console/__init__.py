"""The console: pages on which people see what happened, why, and what to do, served with the HTTP interface.

Invariant: a page shows what the API answers to the person's own scopes, and a form sends one of the API's commands;
nothing here reads a table or knows what a command means. Imports: http and below.

More than twelve files: each is one thing that all pages share; the pages themselves are in `pages/`.
"""

from oms_es.console.app import PATH, Console

__all__ = ["PATH", "Console"]
