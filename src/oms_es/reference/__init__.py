"""The published reference: message schemas, the AsyncAPI document, and reference pages, all generated.

Invariant: nothing in docs/reference is written by hand; `make reference` generates it from the program.
Imports: everything below `cli`; nothing but `cli` imports it.
"""
