# Copyright (c) 2026, The evenkeel developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names say that a value is secret, and texts with such values hidden."""

from __future__ import annotations

import re
import shlex

HIDDEN = "********"
PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:([^/@\s]+)@")

_SAYING = ("password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "accesskey", "privatekey")
_LAST = {"pass", "pw", "pwd", "sig", "signature", "auth"}
# Kinds of keys that are secret. Others are not, such as a routing key.
_KEYS = {"api", "access", "account", "private", "secret", "shared", "signing", "encryption", "master", "fernet"}
# Last words of names whose values only say where a secret is, or something about it.
_ABOUT = {"file", "path", "dir", "directory", "url", "uri", "name", "id", "timeout", "ttl", "type", "age", "backend"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# The next line belongs to this one after a backslash, and comments may be in between.
_NEXT_LINE = r"\\\n(?:[ \t]*[#;][^\n]*\n)*"
_ENVIRONMENT = re.compile(rf"^([ \t#;]*(?:Environment|SetCredential)[ \t]*=)((?:{_NEXT_LINE}|[^\n])*)", re.MULTILINE)
_VALUE = r"""("[^"\n]*"|'[^'\n]*'|[^\s;&]+)"""
_ASSIGNMENT = re.compile(r"""(?<=[ \t"';&?])([\w-]+)(=)""" + _VALUE)
_OPTION = re.compile(r"(?<=[ \t])(--?[\w-]+)( )" + _VALUE)


def says_secret(name: str) -> bool:
    """Whether a name says that its value is secret: DB_PASSWORD, apiKey, AccountKey, --token."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[-1] in _ABOUT:
        return False
    joined = "".join(words)
    return (
        any(word in joined for word in _SAYING)
        or joined.endswith(("pass", "pwd"))
        or words[-1] in _LAST
        or any(key == "key" and kind in _KEYS for kind, key in zip(words, words[1:]))
    )


def assigned_secrets(text: str) -> list[str]:
    """The secrets in a text such as a URL or a connection string: redis://:this@host, AccountKey=this;…."""
    assigned = [value for name, _sign, value in _ASSIGNMENT.findall(f" {text}") if says_secret(name)]
    return PASSWORD_IN_URL.findall(text) + assigned


# In a line of a log: a header, a dictionary as Python or JSON writes it, a URL whose password is not encoded.
_BEARER = re.compile(r"\b(Bearer|Basic)\s+\S+", re.IGNORECASE)
_ITEM = re.compile(r"""(["'])([\w-]{1,100})\1(\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^\s,}]+)""")
_URL = re.compile(r"://[^\s:]*:\S*@")


def line_without_secrets(text: str) -> str:
    """A line that an application wrote, without what looks like a secret in it."""
    text = _URL.sub(lambda found: _login(found[0]), text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _ITEM.sub(
        lambda found: f"{found[1]}{found[2]}{found[1]}{found[3]}{HIDDEN}" if says_secret(found[2]) else found[0], text
    )
    for secret in assigned_secrets(text):
        text = text.replace(secret, HIDDEN)
    return text


def _login(url: str) -> str:
    user = url[len("://") :].partition(":")[0]
    return f"://{user}:{HIDDEN}@"


def unit_without_secrets(text: str) -> str:
    """A unit that we did not write, without the values of its environment and of what else is named as a secret."""
    text = _ENVIRONMENT.sub(lambda found: found[1] + _names_only(re.sub(_NEXT_LINE, " ", found[2])), text)
    for named in (_ASSIGNMENT, _OPTION):
        text = named.sub(_without_value, text)
    return PASSWORD_IN_URL.sub(lambda found: found[0].replace(f":{found[1]}@", f":{HIDDEN}@"), text)


def _without_value(found: re.Match[str]) -> str:
    # NAME=value, in capitals, is a variable of the environment.
    secret = says_secret(found[1]) or (found[1].isupper() and found[2] == "=")
    return f"{found[1]}{found[2]}{HIDDEN}" if secret else found[0]


def _names_only(assignments: str) -> str:
    try:
        words = shlex.split(assignments)
    except ValueError:
        return HIDDEN
    return " ".join(f"{word.partition('=')[0]}={HIDDEN}" if "=" in word else HIDDEN for word in words)
