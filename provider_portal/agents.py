"""A browser and a system in a few words, for people who look through their sessions; no more of it is kept."""

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("YaBrowser", "Yandex Browser"),
    ("Firefox", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def agent_words(header: str) -> str:
    """Return the browser and the system that a User-Agent names; what it does not name is left out."""
    found = (next((words for mark, words in marks if mark in header), "") for marks in (_BROWSERS, _SYSTEMS))
    return ", ".join(words for words in found if words)
