"""Asks the person for the password again before a private key leaves."""

import logging
from typing import Any

from django import forms
from django.contrib.auth.models import User

logger = logging.getLogger(__name__)


class PasswordAgainForm(forms.Form):
    """Valid only with the password of `user`, who has signed in already."""

    account_password = forms.CharField(
        label="Your password",
        strip=False,
        max_length=1024,
        help_text="The one that you sign in to this console with.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean_account_password(self) -> str:
        password: str = self.cleaned_data["account_password"]
        if not self.user.check_password(password):
            logger.warning("%s gave a wrong password for the download of a key", self.user.get_username())
            raise forms.ValidationError("This is not your password. Type it again; capital letters count.")
        return password
