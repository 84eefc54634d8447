"""inventory owns the stock ledger: what exists where, what is promised to whom, what left and came back.

It hears orders accepted, routed, cancelled, dispatched, short picked and returned, takes deliveries and
corrections of stock, holds baskets at checkout, and answers what could be promised; it publishes every
movement of units and every promise made on them.
"""
