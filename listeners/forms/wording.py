"""Ranges and widgets that several forms have in common, and the words for what is outside of them."""

from django import forms

PORT = "Enter a port from 1 to 65535."
WEIGHT = "Enter a weight from 0 to 100."
IDLE = "Enter a number of seconds from 0 to 4000."
TIMEOUT = "Enter a number of seconds from 1 to 300."
NAME_TOO_LONG = "Enter 255 characters at most."
GONE = "This certificate is no longer there."


def errors_of_number(sentence: str) -> dict[str, str]:
    return dict.fromkeys(("required", "invalid", "min_value", "max_value"), sentence)


def number(low: int, high: int) -> forms.NumberInput:
    return forms.NumberInput(attrs={"min": low, "max": high})


def description() -> forms.Textarea:
    return forms.Textarea(attrs={"rows": 3, "maxlength": 255})
