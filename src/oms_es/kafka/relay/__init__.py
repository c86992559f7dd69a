"""The relay: the one process that publishes the log and the latest rows to Kafka, and who of several does so.

Imports: the client of `kafka`, and what is below it.
"""
