"""How long state machines play."""

from hypothesis import HealthCheck, settings


def plays(*, lives: int, steps: int) -> settings:
    """So many lives of at most so many steps, on a machine of any speed; of the steps that are drawn, a model
    may turn down many."""
    return settings(
        max_examples=lives,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
