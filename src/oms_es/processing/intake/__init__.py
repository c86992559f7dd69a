"""Input from outside: files opened, lines parsed, names screened, commands decided or stored as dead letters.

Imports: store and below.
"""
