"""Why a certificate is not issued."""


class IssuingError(ValueError):
    """A sentence that says what to do; `field` is what it is about, "" for the whole.

    Fields: common_name, organization, names, constraints, days, key, request.
    """

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field
