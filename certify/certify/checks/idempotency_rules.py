"""The diagnostic codes of C-IDEM."""

from __future__ import annotations

from typing import Final

from certify_spec.diagnostics import Rule

CHECK: Final = "C-IDEM"

DUPLICATE: Final = Rule(
    "IDEM001",
    "A message that is delivered twice does not have its effect once.",
    "Let the effect be refused where it exists already: a unique constraint on the key, in the effect's transaction.",
)
REORDERED: Final = Rule(
    "IDEM002",
    "A late duplicate repeats an effect, or undoes that of a newer message.",
    "Remember every key for its whole retention, and let an older revision lose against a newer one.",
)
CONCURRENT: Final = Rule(
    "IDEM003",
    "Two deliveries at once do not have the effect once.",
    "Do not look first and act later: let one atomic statement decide (a unique constraint, put_if_absent, one "
    "transaction that takes the write lock first).",
)
EFFECT_REPEATED: Final = Rule(
    "IDEM004",
    "After a crash the redelivery repeats an effect.",
    "Commit the effect and the mark that it happened in one transaction, or send the upstream the same key again.",
)
EFFECT_LOST: Final = Rule(
    "IDEM005",
    "After a crash the redelivery leaves an effect out: it is lost for good.",
    "Set the mark in the effect's own transaction, never before; or let a redelivery finish what is missing.",
)
LOST_ANSWER: Final = Rule(
    "IDEM006",
    "When an upstream acts and its answer is lost, the effect happens again.",
    "Send the same idempotency key with every attempt of every delivery of the message.",
)
RAISES: Final = Rule(
    "IDEM007",
    "A redelivery raises where an undisturbed delivery returns.",
    "Answer a repeated message as the first time; a queue would deliver it for ever.",
)
ANSWER_DIFFERS: Final = Rule(
    "IDEM008",
    "A redelivery answers otherwise than the first delivery.",
    "Keep the first answer with the key, and give it again.",
)
FORGETS: Final = Rule(
    "IDEM009",
    "A repeated message has a second effect before its retention is over.",
    "Remember keys for as long as `retention` says, or say less.",
)
NO_IDEMPOTENCY: Final = Rule(
    "IDEM010",
    "The node has effects and no [idempotency].",
    "Add [idempotency] with `flow` and `key`.",
)
NO_KEY: Final = Rule(
    "IDEM011",
    "A request that writes carries no idempotency key.",
    "Send the key in the header that the resource's `idempotency_header` names.",
)
KEY_CHANGES: Final = Rule(
    "IDEM012",
    "The key of an effect changes from one delivery of a message to the next.",
    "Derive it from the input alone: `ctx.key`, or `certify.key.idempotency_key`.",
)
UNDERIVABLE: Final = Rule(
    "IDEM013",
    "The idempotency key cannot be derived from an input.",
    "Name fields that every input has, with values that have a canonical form.",
)
BODY_CHANGES: Final = Rule(
    "IDEM014",
    "A redelivery sends its key again with another body.",
    "Send the same body: an upstream that compares it answers 422.",
)
PARTIAL: Final = Rule(
    "IDEM015",
    "Of two requests with different keys, the second one leaves a part of its effect out.",
    "Look whether a narrower key decides about that part, or whether it is meant to be written once.",
)
DEBRIS: Final = Rule(
    "IDEM020",
    "A delivery that died leaves a temporary file behind.",
    "Remove old temporary files at the start, or give them the name that follows from the key.",
)
EXPIRES: Final = Rule(
    "IDEM021",
    "When its retention is over, a repeated message has its effect again.",
    "Make sure that no queue delivers a message so late.",
)
COLLISION: Final = Rule(
    "IDEM099",
    "Suspected collision: two different requests are taken for one.",
    "Put every field that makes a difference to the effect into the key.",
)
