"""Routing chooses the nodes that ship an order, and says why these.

Owns: the nodes as sourcing sees them, which plans a person sees first, and each order's plan per round. Hears
of inventory StockReserved and AllocationFailed; and, for a plan that is held, what makes it void:
StockBackordered, StockReleased, LinesReleased. Publishes: NodeDefined, TransitDefined, ReviewDefined,
OrderRouted, RoutingHeld, OrderUnroutable.
"""
