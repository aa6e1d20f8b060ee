"""Who may use the page: a link works once, and gives the browser a lasting secret in a cookie.

The address at the terminal holds the link's secret. Opening it uses the secret up, so that the browser's
history and whatever else saw the address are worth nothing. The store keeps digests only. The cookie still
works after the server was stopped and started, so that an open page goes on.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from http.cookies import CookieError, SimpleCookie

from tfautolabel.runs.answers import Answers

_SECONDS = 180 * 24 * 3600
_NAME = re.compile(r"[^a-z0-9]")


class Links:
    """Makes links and recognises people.

    Args:
        answers: the store, which keeps digests of secrets.
        title: tells sessions apart that one browser has open: cookies do not know ports.
    """

    def __init__(self, answers: Answers, title: str) -> None:
        self._answers = answers
        folder = hashlib.sha256(str(answers.file.resolve()).encode()).hexdigest()[:8]
        self._cookie = f"review_{_NAME.sub('', title.lower())[:20]}_{folder}"

    def make(self) -> str:
        """Returns a secret that works once."""
        secret = secrets.token_urlsafe(24)
        self._answers.add_link(_digest(secret), once=True)
        return secret

    def open(self, secret: str) -> str | None:
        """Uses a link's secret; returns the header Set-Cookie, or None if the secret is used up or wrong."""
        if not self._answers.use_link(_digest(secret)):
            return None
        lasting = secrets.token_urlsafe(32)
        self._answers.add_link(_digest(lasting), once=False)
        return f"{self._cookie}={lasting}; Path=/; HttpOnly; SameSite=Strict; Max-Age={_SECONDS}"

    def person(self, cookies: str) -> tuple[str, str] | None:
        """Returns the digest of a browser's secret and the person's name, "" if it is not known yet.

        None for a browser without a valid secret.

        Args:
            cookies: the header Cookie.
        """
        try:
            found = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return None
        if found is None:
            return None
        digest = _digest(found.value)
        who = self._answers.person_of(digest)
        return None if who is None else (digest, who)

    def name(self, digest: str, who: str) -> None:
        """Gives the person behind a secret a name."""
        self._answers.add_link(digest, once=False, who=who)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
