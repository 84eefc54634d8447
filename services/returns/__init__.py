"""Returns: what was delivered may come back, is disposed of unit by unit, and money owed is requested once.

Hears the order's prices from intake, deliveries and the end of an order from fulfillment. Publishes return
authorisations, receipts and the refunds that follow from them, or from units lost and cancelled; of an order
that intake cancelled before it was accepted, the refund of what was paid, or the void of its authorisation.
"""
