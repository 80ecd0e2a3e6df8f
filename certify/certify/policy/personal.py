"""What looks like personal data, or like a credential: by a field's name, and by a value's form.

Rules this module keeps:

- a value is recognised by its form and, where there is one, by its check digits, so that an order number is not taken
  for a card;
- each sign says what it saw and how sure it is; the value itself is never repeated;
- a name is read as words, whatever their spelling: ``birthDate``, ``birth_date`` and ``BIRTH-DATE`` are one name.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from certify.manifest.model import DataClass


@dataclass(frozen=True, slots=True)
class Sign:
    """One reason to take a field for sensitive.

    Attributes:
        what: what it looks like, such as ``an e-mail address``.
        why: what shows it, without the value.
        least: the least class that fits.
        sure: False when it is a hint only.
    """

    what: str
    why: str
    least: DataClass
    sure: bool = True


# ---------------------------------------------------------------------------------------------------------- names

_PII, _MONEY, _SECRET = DataClass.PII, DataClass.FINANCIAL, DataClass.CREDENTIAL

_NAMES: Final[tuple[tuple[str, DataClass, bool, tuple[str, ...]], ...]] = (
    ("an e-mail address", _PII, True, ("email", "e mail", "mail address", "correo", "courriel")),
    (
        "a phone number",
        _PII,
        True,
        (
            "phone",
            "telephone",
            "tel",
            "mobile number",
            "mobile",
            "fax",
            "msisdn",
            "telefon",
            "telefono",
            "handy",
            "phonenumber",
        ),
    ),
    ("a bank account", _MONEY, True, ("iban", "account number", "routing number", "sort code", "kontonummer")),
    (
        "a payment card",
        _MONEY,
        True,
        ("card number", "cardnumber", "credit card", "creditcard", "debit card", "cc number", "pan"),
    ),
    ("a card's security code", _MONEY, True, ("cvv", "cvc", "cvv2", "card verification")),
    (
        "a national id",
        _PII,
        True,
        (
            "ssn",
            "social security",
            "national id",
            "passport",
            "tax id",
            "tax number",
            "nino",
            "nhs number",
            "driver license",
            "drivers license",
            "driving licence",
            "personnummer",
            "bsn",
            "dni",
            "nif",
            "nie",
            "cpf",
            "codice fiscale",
            "steuer id",
            "aadhaar",
            "pesel",
            "identity card",
        ),
    ),
    (
        "a date of birth",
        _PII,
        True,
        (
            "date of birth",
            "birth date",
            "birthdate",
            "dob",
            "birthday",
            "birth day",
            "born on",
            "year of birth",
            "birth year",
            "geburtsdatum",
            "place of birth",
            "birth place",
        ),
    ),
    (
        "a person's name",
        _PII,
        True,
        (
            "first name",
            "firstname",
            "last name",
            "lastname",
            "surname",
            "given name",
            "family name",
            "full name",
            "fullname",
            "middle name",
            "maiden name",
            "birth name",
            "mother name",
            "mothers name",
            "customer name",
            "person name",
            "patient name",
            "employee name",
            "contact name",
            "recipient name",
            "cardholder",
            "card holder",
            "cardholder name",
            "account holder",
            "applicant name",
            "guest name",
            "passenger name",
            "vorname",
            "nachname",
            "prenom",
            "apellido",
            "cognome",
            "signatory",
        ),
    ),
    (
        "a postal address",
        _PII,
        True,
        (
            "street",
            "street name",
            "street address",
            "house number",
            "home address",
            "postal address",
            "mailing address",
            "billing address",
            "shipping address",
            "delivery address",
            "address line",
            "strasse",
            "straße",
            "hausnummer",
            "rue",
            "calle",
        ),
    ),
    (
        "a postal address",
        _PII,
        False,
        ("address", "postcode", "post code", "postal code", "zip", "zip code", "zipcode", "plz"),
    ),
    (
        "an ip address",
        _PII,
        True,
        (
            "ip address",
            "ipaddress",
            "ip addr",
            "client ip",
            "remote ip",
            "source ip",
            "user ip",
            "ip",
            "ipv4",
            "ipv6",
            "remote addr",
        ),
    ),
    ("a device of a person", _PII, False, ("imei", "imsi", "mac address", "advertising id", "idfa")),
    ("a location", _PII, False, ("latitude", "longitude", "geolocation", "gps", "geo location")),
    ("a login name", _PII, False, ("username", "user name", "login name", "screen name")),
    (
        "a special category of personal data",
        _PII,
        True,
        (
            "religion",
            "ethnicity",
            "sexual orientation",
            "political opinion",
            "health condition",
            "diagnosis",
            "blood type",
            "marital status",
            "nationality",
            "disability",
            "biometric",
            "fingerprint image",
        ),
    ),
    ("a trait of a person", _PII, False, ("gender", "sex")),
    (
        "a credential",
        _SECRET,
        True,
        (
            "password",
            "passwd",
            "passphrase",
            "api key",
            "apikey",
            "secret key",
            "client secret",
            "private key",
            "access token",
            "refresh token",
            "bearer token",
            "auth token",
            "session token",
            "access key",
            "secret",
        ),
    ),
)
_KNOWN: Final = {phrase: (what, least, sure) for what, least, sure, phrases in _NAMES for phrase in phrases}
_LONGEST_PHRASE: Final = max(len(phrase.split()) for phrase in _KNOWN)
_DEFUSED: Final = frozenset(
    {
        "hash",
        "hashed",
        "digest",
        "count",
        "counts",
        "enabled",
        "verified",
        "required",
        "valid",
        "length",
        "type",
        "kind",
        "status",
        "policy",
        "template",
        "sent",
        "opt",
        "consent",
        "flag",
        "present",
        "masked",
        "pattern",
        "total",
        "is",
        "has",
    }
)
"""Words that make a name speak about such data, not hold it: `email_verified`, `phone_count`."""


def signs_of_name(*names: str) -> Iterator[Sign]:
    """What the name of a field says that it holds.

    Args:
        names: the named steps of the field's path, outermost first: ``customer``, ``name`` says more than ``name``.
    """
    if not names:
        return
    last = _words(names[-1])
    if _DEFUSED & set(last):
        return
    words = [*(_words(names[-2]) if len(names) > 1 else []), *last]
    seen: set[str] = set()
    for length in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            phrase = " ".join(words[start : start + length])
            if phrase not in _KNOWN or start + length <= len(words) - len(last):
                continue
            what, least, sure = _KNOWN[phrase]
            if what not in seen:
                seen.add(what)
                yield Sign(what, f"its name says {phrase!r}", least, sure)


def _words(name: str) -> list[str]:
    """The words of a name in lower case, without accents: camelCase, snake_case, kebab-case and plurals alike."""
    base = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name))
    base = "".join(c for c in base if not unicodedata.combining(c))
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", _spaced, base)
    words = [word for word in re.split(r"[^0-9a-zß]+", spaced.lower()) if word]
    return [_singular(re.sub(r"(?<=[a-z])\d$", "", word)) for word in words]


def _spaced(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2]}" if match[1] else f"{match[3]} {match[4]}"


def _singular(word: str) -> str:
    if word in _KNOWN or not word.endswith("s"):
        return word
    for ending, stem in (("sses", "ss"), ("s", "")):
        if word.endswith(ending) and word.removesuffix(ending) + stem in _SINGULARS:
            return word.removesuffix(ending) + stem
    return word


_SINGULARS: Final = frozenset(word for phrase in _KNOWN for word in phrase.split())

# --------------------------------------------------------------------------------------------------------- values

_EMAIL: Final = re.compile(
    r"(?<![\w.+/-])[\w.+-]{1,64}@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?){0,8}\.[^\W\d_]{2,24}\b"
)
_PHONE: Final = re.compile(r"(?<![\w+])(?:\+|00[ ./-])[1-9]\d{0,2}[ ()./-]{0,2}(?:\d[ ()./-]{0,2}){6,12}\d(?!\w)")
_NANP: Final = re.compile(r"(?<![\w-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}(?![\w-])")
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_CARD: Final = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_SSN: Final = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_NINO: Final = re.compile(
    r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"
)
_DNI: Final = re.compile(r"(?<!\w)([XYZ]?)(\d{7,8})-?([A-HJ-NP-TV-Z])(?!\w)")
_CPF: Final = re.compile(r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)")
_FISCALE: Final = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)")
_PERSONNUMMER: Final = re.compile(r"(?<![\w-])(?:19|20)?(\d{6})[-+](\d{4})(?![\w-])")
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_IPV6: Final = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")

_CREDENTIALS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----")),
    ("an access key of AWS", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])")),
    ("a token of GitHub", re.compile(r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,})")),
    ("a secret key of Stripe", re.compile(r"(?<!\w)[sr]k_(?:live|test)_[A-Za-z0-9]{16,}")),
    ("a token of Slack", re.compile(r"(?<!\w)xox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("a key of Google", re.compile(r"(?<!\w)AIza[\w-]{35}(?![\w-])")),
    ("a JSON Web Token", re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
    ("a bearer token", re.compile(r"(?i)(?<!\w)bearer\s+(?!<secret:)[\w.~+/-]{16,}")),
    ("a password in a URL", re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,64}:(?!<secret:)[^\s/@]{3,128}@")),
)


def signs_of_value(value: object) -> Iterator[Sign]:
    """What the form of a value says that it is. Only text and whole numbers say anything."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return
    if isinstance(value, int) and not 10**12 <= value < 10**19:
        return
    text = unicodedata.normalize("NFKC", str(value))[:20_000]
    for what, why, least, holds in _FORMS:
        if holds(text):
            yield Sign(what, why, least)


def signs_of_credential(text: str) -> Iterator[Sign]:
    """Credentials whose form gives them away, in any text."""
    for what, pattern in _CREDENTIALS:
        if pattern.search(text):
            yield Sign(what, f"it has the form of {what}", DataClass.CREDENTIAL)


def _any(pattern: re.Pattern[str], holds: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: any(holds(match[0]) for match in pattern.finditer(text))


def _is_iban(text: str) -> bool:
    """ISO 13616: the remainder by 97 of the rearranged number is 1."""
    compact = text.replace(" ", "").upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """The length and the leading digits of a card's brand, and the check digit of ISO/IEC 7812."""
    digits = re.sub(r"\D", "", text)
    if len(set(digits)) == 1 or not passes_luhn(digits):
        return False
    lead, length = int(digits[:4]), len(digits)
    return (
        (digits[0] == "4" and length in {13, 16, 19})
        or ((5100 <= lead <= 5599 or 2221 <= lead <= 2720) and length == 16)
        or (digits[:2] in {"34", "37"} and length == 15)
        or ((lead == 6011 or digits[:2] == "65" or 6440 <= lead <= 6499) and length in {16, 19})
        or (3528 <= lead <= 3589 and length in {16, 19})
        or ((3000 <= lead <= 3059 or digits[:2] in {"36", "38", "39"}) and length in {14, 16})
    )


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the rest (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_dni(text: str) -> bool:
    """Spain: the letter is the remainder of the number by 23."""
    match = _DNI.fullmatch(text)
    if match is None or len(match[1]) + len(match[2]) != 8:
        return False
    number = int({"": "", "X": "0", "Y": "1", "Z": "2"}[match[1]] + match[2])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == match[3]


def _is_cpf(text: str) -> bool:
    """Brazil: two check digits, each a weighted sum by 11."""
    digits = [int(sign) for sign in text if sign.isdecimal()]
    if len(set(digits)) == 1:
        return False
    for length in (9, 10):
        weighted = sum(digit * (length + 1 - i) for i, digit in enumerate(digits[:length]))
        if (weighted * 10 % 11) % 10 != digits[length]:
            return False
    return True


_ODD: Final = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23), strict=True)
)  # fmt: skip


def _is_fiscale(text: str) -> bool:
    """Italy: the last letter is a sum over the others, odd places by a table, by 26."""
    even = sum(int(sign) if sign.isdecimal() else ord(sign) - 65 for sign in text[1:15:2])
    odd = sum(_ODD[sign] for sign in text[0:15:2])
    return chr((even + odd) % 26 + 65) == text[15]


def _is_personnummer(text: str) -> bool:
    """Sweden: a date and four digits, of which the last is the check digit."""
    match = _PERSONNUMMER.fullmatch(text)
    if match is None:
        return False
    month, day = int(match[1][2:4]), int(match[1][4:6])
    return 1 <= month <= 12 and (1 <= day <= 31 or 61 <= day <= 91) and passes_luhn(match[1] + match[2])


def _is_address(text: str) -> bool:
    """An address that can be a person's: not the machine itself, and not the unspecified one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _yes(_text: str) -> bool:
    return True


_FORMS: Final[tuple[tuple[str, str, DataClass, Callable[[str], bool]], ...]] = (
    ("an e-mail address", "a fixture holds text of that form", _PII, _any(_EMAIL, _yes)),
    ("a phone number", "a fixture holds an international number", _PII, _any(_PHONE, _yes)),
    ("a phone number", "a fixture holds a North American number", _PII, _any(_NANP, _yes)),
    ("a bank account (IBAN)", "a fixture holds one with right check digits", _MONEY, _any(_IBAN, _is_iban)),
    ("a payment card", "a fixture holds a number with a right check digit", _MONEY, _any(_CARD, _is_card)),
    ("a US social security number", "a fixture holds text of that form", _PII, _any(_SSN, _yes)),
    ("a UK national insurance number", "a fixture holds text of that form", _PII, _any(_NINO, _yes)),
    ("a Spanish DNI or NIE", "a fixture holds one with the right letter", _PII, _any(_DNI, _is_dni)),
    ("a Brazilian CPF", "a fixture holds one with right check digits", _PII, _any(_CPF, _is_cpf)),
    ("an Italian codice fiscale", "a fixture holds one with the right letter", _PII, _any(_FISCALE, _is_fiscale)),
    ("a Swedish personnummer", "a fixture holds one with right digits", _PII, _any(_PERSONNUMMER, _is_personnummer)),
    ("an ip address", "a fixture holds one", _PII, _any(_IPV4, _is_address)),
    ("an ip address", "a fixture holds one", _PII, _any(_IPV6, _is_address)),
)  # fmt: skip
