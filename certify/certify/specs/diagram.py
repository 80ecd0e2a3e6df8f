"""A story as a sequence diagram: one SVG picture, with the participants as lanes and time running down.

Rules this module keeps:

- what a caller does goes from its lane to the machine's; what happens to the machine comes from the lane of the
  environment, and on to the caller that it concerns; time passes across all lanes;
- the picture is drawn from the story alone and needs no script; its colours are the page's;
- every text is escaped and cut to its place: the table beside the picture has it in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from markupsafe import Markup

from certify.report import text
from certify.specs.story import Step, Story

_LANE: Final = 150
_LEFT: Final = 44
_HEAD: Final = 62
_LINE: Final = 17
_ROW: Final = 46
_LETTER: Final = 7.3
_NOTE_LETTERS: Final = 46
_MOST_CHANGES: Final = 6
_MOST_LANES: Final = 14


def draw(story: Story) -> Markup:
    """The picture; nothing if there are no steps, or more participants than a picture can hold."""
    if not story.steps or len(story.callers) > _MOST_LANES:
        return Markup("")
    return _Drawing(story).whole()


def _cut(value: str, letters: int) -> str:
    shown = text.one_line(value)
    return shown if len(shown) <= letters else f"{shown[: letters - 1]}…"


class _Drawing:
    """One picture in the making."""

    def __init__(self, story: Story) -> None:
        self._story = story
        outside = any(step.environment and not step.passes_time for step in story.steps)
        self._lanes = [*story.callers, story.machine, *(["environment"] if outside else [])]
        self._machine = self._at(len(story.callers))
        self._notes = self._at(len(self._lanes) - 1) + 62
        self._width = self._notes + int(_NOTE_LETTERS * _LETTER) + 16
        self._tops: list[int] = []
        top = _HEAD + 16
        for step in story.steps:
            self._tops.append(top)
            top += max(_ROW, 26 + _LINE * len(self._lines(step)))
        self._bottom = top
        self._height = top + (46 if story.clause else 14)

    def _at(self, lane: int) -> int:
        return _LEFT + _LANE // 2 + lane * _LANE

    def _lane(self, name: str) -> int:
        return self._at(self._lanes.index(name))

    def whole(self) -> Markup:
        """The picture."""
        told = (
            f"Sequence diagram of {len(self._story.steps)} steps of {self._story.machine}; the table has them as text."
        )
        return Markup(
            '<svg class="diagram" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}{}{}</svg>'
        ).format(
            self._width,
            self._height,
            self._width,
            self._height,
            told,
            Markup("").join(self._lane_lines()),
            Markup("").join(self._step(step, top) for step, top in zip(self._story.steps, self._tops, strict=True)),
            self._clause(),
        )

    def _lane_lines(self) -> Iterator[Markup]:
        for lane, name in enumerate(self._lanes):
            x = self._at(lane)
            kind = "machine" if x == self._machine else ("outside" if lane == len(self._lanes) - 1 else "caller")
            yield Markup(
                '<g class="lane {}"><line x1="{}" y1="{}" x2="{}" y2="{}"/>'
                '<rect x="{}" y="12" width="{}" height="34" rx="7"/><text x="{}" y="34">{}</text></g>'
            ).format(kind, x, 46, x, self._bottom, x - 64, 128, x, _cut(name, 15))

    def _step(self, step: Step, top: int) -> Markup:
        y = top + 24
        last = step.number == len(self._story.steps)
        arrow = self._time(step, y) if step.passes_time else self._arrows(step, y)
        return Markup('<g class="step{}"><text class="number" x="{}" y="{}">{}</text>{}{}</g>').format(
            " last" if last and self._story.clause else "", _LEFT - 14, y + 4, step.number, arrow, self._note(step, top)
        )

    def _time(self, step: Step, y: int) -> Markup:
        return Markup('<line class="time" x1="{}" y1="{}" x2="{}" y2="{}"/>{}').format(
            _LEFT, y, self._notes - 18, y, self._label(step.call, (_LEFT + self._notes) // 2, y)
        )

    def _arrows(self, step: Step, y: int) -> Markup:
        dot = Markup('<circle cx="{}" cy="{}" r="4.5"/>').format(self._machine, y)
        if step.environment:
            source = self._lane("environment")
            drawn = [_arrow(source, self._machine, y), self._label(step.call, (source + self._machine) // 2, y)]
            if step.caller:
                drawn.append(_arrow(self._machine, self._lane(step.caller), y, "onwards"))
        elif step.caller:
            source = self._lane(step.caller)
            middle = (self._machine - _LANE + self._machine) // 2
            drawn = [_arrow(source, self._machine, y), self._label(step.call, middle, y)]
        else:
            x = self._machine
            path = Markup('<path class="arrow" d="M{} {}h-34v14h24"/><path class="tip" d="M{} {}l-9 -4.5v9z"/>')
            drawn = [path.format(x, y - 5, x - 5, y + 9), self._label(step.call, x - _LANE // 2, y - 5)]
        return Markup("").join([*drawn, dot])

    @staticmethod
    def _label(call: str, x: int, y: int) -> Markup:
        return Markup('<text class="call" x="{}" y="{}"><title>{}</title>{}</text>').format(
            x, y - 7, text.one_line(call), _cut(call, 18)
        )

    @staticmethod
    def _lines(step: Step) -> list[str]:
        changes = [str(change) for change in step.changes] or ["nothing changes"]
        if len(changes) > _MOST_CHANGES:
            return [*changes[: _MOST_CHANGES - 1], f"and {len(changes) - _MOST_CHANGES + 1} more"]
        return changes

    def _note(self, step: Step, top: int) -> Markup:
        lines = self._lines(step)
        height = _LINE * len(lines) + 8
        rows = Markup("").join(
            Markup('<text class="change" x="{}" y="{}"><title>{}</title>{}</text>').format(
                self._notes + 10,
                top + 21 + number * _LINE,
                text.one_line(line),
                _cut(line, _NOTE_LETTERS),
            )
            for number, line in enumerate(lines)
        )
        return Markup('<rect class="note" x="{}" y="{}" width="{}" height="{}" rx="5"/>{}').format(
            self._notes, top + 6, self._width - self._notes - 4, height, rows
        )

    def _clause(self) -> Markup:
        if not self._story.clause:
            return Markup("")
        y, letters = self._bottom + 8, int((self._width - _LEFT - 90) / _LETTER)
        return Markup(
            '<g class="clause"><rect x="{}" y="{}" width="{}" height="30" rx="5"/><text x="{}" y="{}">'
            "<title>{}</title>✗ false: {}</text></g>"
        ).format(
            _LEFT - 24,
            y,
            self._width - _LEFT + 20,
            _LEFT - 12,
            y + 20,
            text.one_line(self._story.clause),
            _cut(self._story.clause, letters),
        )


def _arrow(source: int, target: int, y: int, kind: str = "") -> Markup:
    way = 1 if target > source else -1
    gap = 5 if kind != "onwards" else 0
    return Markup(
        '<line class="arrow {}" x1="{}" y1="{}" x2="{}" y2="{}"/><path class="tip" d="M{} {}l{} -4.5v9z"/>'
    ).format(kind, source, y, target - way * (gap + 4), y, target - way * gap, y, -way * 9)
