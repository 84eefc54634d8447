"""inventory owns the stock ledger: what exists where, what is promised to whom, what left and came back.

It holds baskets at checkout, and answers what could be promised. It hears orders accepted, routed, cancelled, dispatched, short picked and returned, and takes deliveries and
corrections of stock; it publishes every movement of units and every promise made on them.
"""
