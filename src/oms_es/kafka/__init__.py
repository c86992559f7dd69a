"""Kafka: client, relay of events and states to topics, consumer groups, input topics.

Imports: processing and below.
"""
