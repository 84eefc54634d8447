"""Intake captures an order once, holds or rejects it with reasons, accepts, cancels and closes it.

Owns: an order's terms and its one terminal state. Hears: fulfillment's FulfillmentCompleted and
CancellationDeclined. Publishes: OrderAccepted, OrderHeld, OrderRejected, HoldReleased,
OrderCancellationRequested, HeldOrderCancelled, OrderClosed.
"""
