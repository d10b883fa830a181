"""Amounts of tokens: whole numbers of the smallest unit, and decimal strings of whole tokens. Never a float."""


def in_tokens(amount: int, decimals: int) -> str:
    """Return an amount in whole tokens: ``1250000000`` with 8 decimals is ``"12.5"``."""
    sign = "-" if amount < 0 else ""
    digits = str(abs(amount)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    fraction = digits[-decimals:].rstrip("0")
    return sign + digits[:-decimals] + (f".{fraction}" if fraction else "")
