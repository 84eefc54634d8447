"""The read side: orders, stock and reservations as people look at them, folded from what stages publish.

It owns no stage and decides nothing. It hears the six `oms.<stage>.events` topics, keeps its tables in the
database `orderlog_console`, and answers queries. Every table can be thrown away and rebuilt from the topics:
`services.console.rebuild` does so beside the live ones and compares digests.
"""
