"""A fresh copy of this repository as a newcomer has it, with the program of this build in it."""
import contextlib
import os
import pathlib
import shutil
import signal as signals

import harness


def clone(folder):
    """What is in the tree and was not made there; build/ holds the built program, nothing to do."""
    def made(where, names):
        top = pathlib.Path(where) == harness.ROOT
        return [n for n in names if n.endswith((".pbm", ".pyc")) or
                top and (n.startswith("build") or n in (".git", "data"))]

    to = folder / "trien"
    shutil.copytree(harness.ROOT, to, ignore=made)
    (to / "build").mkdir()
    for part in ("engine", "loadtest"):
        (to / "build" / part).symlink_to(harness.BUILD / part)
    (to / "build" / "build.ninja").write_text(
        "".join(f"build {target}: phony\n"
                for target in ("trien", "trien-load", "trien-scan", "all")))
    return to


def stop_left(folder, signal=signals.SIGTERM):
    """Engines and portals that still run in a folder: their pids. Signal 0 only tells."""
    left = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            where = pathlib.Path(os.readlink(entry / "cwd"))
            if words[1:2] in ([b"serve"], [b"portal"]) and where.is_relative_to(folder):
                left.append(int(entry.name))
                os.kill(left[-1], signal)
    return left
