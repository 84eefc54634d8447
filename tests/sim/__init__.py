"""The simulator: all stages in one process under faults of every kind, reproducible from one seed."""
