"""Routing chooses the nodes that ship an order, and says why these.

Owns: the nodes as sourcing sees them, and each order's plan per round. Hears: inventory's StockReserved and
AllocationFailed. Publishes: NodeDefined, OrderRouted, OrderUnroutable.
"""
