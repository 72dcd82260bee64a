"""Messages of Kafka's protocol that kafka-python does not know; their fields stand in the JSON files.

The description of a group of the consumer protocol (KIP-848), API key 69.
"""

from __future__ import annotations

from kafka.protocol.api_message import ApiMessage


class ConsumerGroupDescribeRequest(ApiMessage, load_json=__name__):
    """Ask for groups by name."""


class ConsumerGroupDescribeResponse(ApiMessage, load_json=__name__):
    """The groups: state, members, and which partitions each of them has."""
