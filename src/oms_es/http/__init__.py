"""The HTTP interface: orders and every other command, read models, events, live streams, links for customers.

Routes are made from the commands of the vocabulary and from the read models; nothing here knows what a command means.
Imports: app and what is below it.

More than twelve files: each is one thing that all routes share; the routes themselves are in sub-folders.
"""
