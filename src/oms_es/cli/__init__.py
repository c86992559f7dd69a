"""The command line, a module per group of commands: `main` gathers them, `generated` makes one per command of the
vocabulary.

Imports everything below; nothing imports it.
"""
