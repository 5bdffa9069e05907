"""What one check of a diagnosis says."""

from dataclasses import dataclass

OK, NOTE, FAULT, SKIPPED = "ok", "note", "fault", "skipped"


@dataclass(frozen=True)
class Finding:
    """One check: its name, its verdict, the number it goes by, what was seen, and what to do about it.

    `level` is "ok", "note" (worth knowing, and no fault), "fault" or "skipped" (could not be judged).
    """

    check: str
    level: str
    number: float
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.text}" + (f" {self.remedy}" if self.remedy else "")
