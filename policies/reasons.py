"""Refusals that more than one place has to word: the engine's forecast, and whoever decides for good."""

from datetime import UTC, datetime

from policies.decision import Reason

KILL_SWITCH = "kill_switch"


def kill_switch() -> Reason:
    """Refuse because the owner has stopped the dataset."""
    return Reason(KILL_SWITCH, "The owner has stopped all questions to this dataset.", "off", "on")


def no_mandate() -> Reason:
    """Refuse an agency that does not act for the advertiser."""
    message = "The agency has no mandate of this advertiser in force."
    return Reason("mandate", message, "a mandate in force", "none")


def grant_term(*, active: bool, valid_from: datetime, expires_at: datetime, at: datetime) -> Reason:
    """Refuse outside a grant's term, or after it was closed."""
    first, last, now = (
        instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for instant in (valid_from, expires_at, at)
    )
    if not active:
        return Reason("grant_term", "The grant was closed.", "an active grant", now)
    limit = f"{first} .. {last}"
    return Reason("grant_term", f"The grant is valid {limit}.", limit, now)


def budget_left(*, left_micro: int, cost_micro: int) -> Reason:
    """Refuse what costs more than the grant has left."""
    message = f"The grant has {left_micro} micro-rho left; at this precision the question costs {cost_micro}."
    return Reason("budget_left", message, left_micro, cost_micro)


def delta_left(*, left_pico: int, cost_pico: int) -> Reason:
    """Refuse a question about unknown keys that costs more delta than the grant has left."""
    message = f"The grant has {left_pico} pico-delta left; a question about unknown keys costs {cost_pico}."
    return Reason("delta_left", message, left_pico, cost_pico)


def consents_unconfirmed() -> Reason:
    """Refuse because withdrawals may have been lost with a restore: whom they name must not be counted."""
    message = (
        "A backup was put back, and what was withdrawn after it may be lost; nobody is counted until the owner has "
        "sent it again and confirmed the consents."
    )
    return Reason("consents_unconfirmed", message, "confirmed", "to be confirmed")


def base_erasing() -> Reason:
    """Refuse because people of the base are to be erased, and its files still hold them."""
    message = (
        "People of the base are to be erased, and its files are being written anew; ask again in a minute."
    )
    return Reason("base_erasing", message, "written anew", "under way")


def restored() -> Reason:
    """Refuse because the room's database is a backup that was put back: what was spent since is not known."""
    message = "The room was restored from a backup; it refuses until its operator has reconciled the budget."
    return Reason("restored", message, "reconciled", "restored")
