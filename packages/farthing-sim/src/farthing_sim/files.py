"""OpenAI's files as the server keeps them: what was uploaded, and what batches have written."""

from dataclasses import dataclass

from farthing_sim.spool import Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file; times are Unix times, `None` for one that never comes.

    `scope` stands for whose it is; before `listed_s` it is found by its id only.
    """

    id: str
    scope: str
    created_s: float
    listed_s: float
    expires_s: float | None
    name: str
    purpose: str
    content: Spool

    def lives(self, now: float) -> bool:
        """Whether it is there: made, and not expired."""
        return self.created_s <= now and (self.expires_s is None or now < self.expires_s)


class Files:
    """All files that were not deleted."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def add(self, file: File) -> None:
        """Keep a file."""
        self._files[file.id] = file

    def find(self, file_id: str, scope: str, now: float) -> File | None:
        """A file by its id; `None` if there is none for this scope."""
        file = self._files.get(file_id)
        return file if file and file.scope == scope and file.lives(now) else None

    def listed(self, scope: str, now: float) -> list[File]:
        """The files of a scope that are listed, oldest first."""
        return [
            file
            for file in self._files.values()
            if file.scope == scope and file.lives(now) and file.listed_s <= now
        ]

    def delete(self, file_id: str) -> None:
        """Forget a file."""
        del self._files[file_id]
