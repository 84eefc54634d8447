"""Finding an order by parts of words: of its numbers, its articles, or its customer's name, mail or phone.

An index of its own beside the read models, filled behind them from the topics; see docs/adr/0025.
"""
