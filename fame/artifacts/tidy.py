"""Removes what killed processes leave in a folder of artifacts: leases, and files that were being written."""

from __future__ import annotations

from fame.artifacts.folder import Folder
from fame.artifacts.lease import MARK, died_here


def remove_abandoned(folder: Folder) -> None:
    """Remove what processes of this machine that are gone have left.

    What those of other machines left goes when somebody waits for it: only then is their death seen.
    """
    for name in folder.names(""):
        if MARK in name and died_here(folder.read(name)):
            folder.remove(name)
    owned = {name.partition(MARK)[0] for name in folder.names("") if MARK in name}
    for name in folder.names("."):  # `LocalFolder.save`: .NAME.safetensors.TOKEN, under the lease on NAME
        if name[1:].partition(".")[0] not in owned:
            folder.remove(name)
