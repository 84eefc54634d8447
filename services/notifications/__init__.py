"""Notifications: the customer hears of every milestone of an order, once, by mail.

Hears what the other stages did. Publishes that a message is owed, and what became of it. The sending itself
is an effect: claimed by a sender, reported back by a command, never repeated by a replay.
"""
