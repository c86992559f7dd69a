"""What finance lets the engine do: import statements, and reconcile accounts.

Imports: what the package around it may.
"""
