"""Domain names: which of a certificate's can be served by SNI, and what a person may enter of them."""

import re
from collections.abc import Iterable, Sequence

from certificates.pem.findings import quoted

LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN_NAME = re.compile(rf"(?:\*\.)?{LABEL}(?:\.{LABEL})+")
ADDRESS = re.compile(r"[0-9.]+")
MOST_NAMES = 100
LONGEST_NAMES = 10_000
LONGEST_NAME = 100


def is_domain_name(name: str) -> bool:
    """At least two labels of letters, digits and hyphens; `*` only as the whole first label."""
    lowered = name.lower()
    return bool(DOMAIN_NAME.fullmatch(lowered)) and not ADDRESS.fullmatch(lowered)


def domain_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are domain names, in lower case, each once; as many as may be stored."""
    found = dict.fromkeys(
        name.lower() for name in names if is_domain_name(name) and len(name) <= LONGEST_NAME
    )
    return tuple(found)[:MOST_NAMES]


def is_covered(name: str, by: Iterable[str]) -> bool:
    """Whether a certificate with these names is valid for `name`; a wildcard stands for one label."""
    wanted = name.lower()
    _, _, parent = wanted.partition(".")
    return any(other.lower() in {wanted, f"*.{parent}"} for other in by)


def entered_names(text: str) -> tuple[str, ...]:
    """What a person typed: separated by commas, blanks or lines; in lower case, each once."""
    return tuple(dict.fromkeys(re.split(r"[\s,;]+", text.strip().lower()))) if text.strip() else ()


def name_faults(names: Sequence[str], covering: Sequence[str]) -> list[str]:
    """Sentences on what is wrong with entered names, given the names of the certificate."""
    if len(names) > MOST_NAMES:
        return [f"There are {len(names)} names here; at most {MOST_NAMES} are taken."]
    if len(",".join(names)) > LONGEST_NAMES:
        return [f"These names are longer than {LONGEST_NAMES:,} characters together."]
    faults = []
    for name in names:
        shown = quoted(name)
        if len(name) > LONGEST_NAME:
            faults.append(f"{shown} is longer than {LONGEST_NAME} characters.")
        elif not is_domain_name(name):
            faults.append(
                f"{shown} is no domain name. Expected are labels of letters, digits and hyphens, at least "
                "two, such as www.test.com; * may stand for the first label alone."
            )
        elif not is_covered(name, covering):
            faults.append(f"{shown} is not covered by the certificate. {_those(covering)}")
    return faults[:5]


def _those(covering: Sequence[str]) -> str:
    if not covering:
        return "It has no domain names; leave this empty."
    more = f" and {len(covering) - 5} more" if len(covering) > 5 else ""
    return f"Its names are {', '.join(covering[:5])}{more}."
