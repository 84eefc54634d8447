"""What a person is told when something cannot be done: what is wrong, and what to do next."""


class Complaint(Exception):
    """A failure that a user can act on. The command line prints it as it is, without a traceback."""

    def __init__(self, sentence: str, next_step: str, *, details: str = "", exit_code: int = 1) -> None:
        """`sentence` says what and where; `next_step` what to do; `details` is shown below, as it is
        (a log's last lines, say)."""
        super().__init__(f"{sentence} {next_step}")
        self.sentence = sentence
        self.next_step = next_step
        self.details = details
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        """A complaint may be another process's."""
        return _again, (self.sentence, self.next_step, self.details, self.exit_code)


def _again(sentence: str, next_step: str, details: str, exit_code: int) -> Complaint:
    return Complaint(sentence, next_step, details=details, exit_code=exit_code)
