"""Fulfillment: work released to a node, picked, packed, dispatched, delivered. It knows what has left.

Hears inventory's allocations, intake's cancellation requests and routing's refusals. Publishes every step of
a fulfillment order, what a cancellation could still stop, and, once, that an order's last unit is resolved.
"""
