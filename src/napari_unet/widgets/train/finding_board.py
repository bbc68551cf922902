"""Faults and doubts of the examples, each shown beside what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qtpy.QtCore import QTimer

from napari_unet.checks.finding import Field, Finding
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.train.example_line import ExampleLine
from napari_unet.widgets.train.example_table import ExampleTable
from napari_unet.widgets.train.finding_lines import Action, FindingLines, Line

FIELDS: dict[str, tuple[Field, ...]] = {
    "more_examples": ("image", "labels", "region", "background"),
    "more_classes": ("classes",),
    "more_base": ("base",),
}
"""What is said in each row of the form, of findings that are about all examples."""


class FindingBoard:
    """Shows findings; doubts can be dismissed.

    Its ``rows`` are to be put into a form, each under what it is about.

    Parameters
    ----------
    table : ExampleTable
        The examples; each line shows its own.
    on_dismiss : callable
        Called when a doubt was dismissed: the findings are to be shown anew.
    mends : callable
        Gives the buttons that mend a finding about a line.
    """

    def __init__(
        self,
        table: ExampleTable,
        on_dismiss: Callable[[], None],
        mends: Callable[[Finding, ExampleLine], Sequence[Action]] = lambda *_: (),
    ) -> None:
        self._table = table
        self._on_dismiss = on_dismiss
        self._mends = mends
        self._dismissed: set[Any] = set()
        self._about = {name: FindingLines() for name in FIELDS}
        self.findings: list[Finding] = []
        self.rows: dict[str, Row] = {}
        for name, lines in self._about.items():
            self.rows[name] = Row(lines, "", "")  # type: ignore[arg-type]  # all a row needs
            self.rows[name].show(visible=False)

    @property
    def faults(self) -> list[Finding]:
        """What keeps the training from starting."""
        return [each for each in self.findings if each.severity == "fault"]

    @property
    def faults_of_settings(self) -> list[Finding]:
        """Those that are about a setting."""
        return [each for each in self.faults if each.field == "config"]

    def texts(self, name: str) -> list[str]:
        """What a row says."""
        return self._about[name].texts

    def show(self, kind: Any, faults: Callable[[ExampleLine], Sequence[Line]]) -> None:
        """Show the findings.

        Parameters
        ----------
        kind : object
            Task and base; for others, a doubt that was dismissed is told again.
        faults : callable
            Gives the faults of a line that need no look at its pixels.
        """
        for index, line in enumerate(self._table.lines):
            own = [f for f in self.findings if f.example == index]
            line.findings.show([*faults(line), *self._lines(own, kind, [line])])
        general = [f for f in self.findings if f.example is None]
        for name, lines in self._about.items():
            found = [f for f in general if f.field in FIELDS[name]]
            lines.show(self._lines(found, kind, self._table.lines))
            self.rows[name].show(visible=bool(lines.lines))

    def _lines(
        self, findings: Iterable[Finding], kind: Any, about: Sequence[ExampleLine]
    ) -> list[Line]:
        lines = []
        for finding in findings:
            # the same for the same examples, however they are painted on
            key = (finding.code, finding.field, kind, tuple(each.content for each in about))
            mends = self._mends(finding, about[0]) if finding.example is not None else ()
            if finding.severity == "fault":
                calm = is_next_step(finding)
                lines.append(Line(worded(finding), fault=True, actions=tuple(mends), calm=calm))
            elif key not in self._dismissed:
                actions = (*mends, self._button(key))
                lines.append(Line(worded(finding), fault=False, actions=actions))
        return lines

    def _button(self, key: Any) -> tuple[str, Callable[[], None]]:
        def dismiss() -> None:
            self._dismissed.add(key)
            # not within the click: the button goes with its line
            QTimer.singleShot(0, self._on_dismiss)

        return "Dismiss", dismiss
