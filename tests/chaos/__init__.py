"""Faults on real processes: kill -9, SIGSTOP, cut connections, on real Kafka and PostgreSQL. `make chaos`."""
