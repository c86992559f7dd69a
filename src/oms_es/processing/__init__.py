"""What works on the log: the loop, intake of input, read models, metrics.

Imports: store and below. Knows nothing of Kafka.
"""
