"""What takes long to make and is the same for many tests, of all processes of a run: made once,
below the build folder, and copied from there."""
import os
import pathlib
import shutil
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TRIEN_BUILD", ROOT / "build"))
HOUR = 3600


def made(name, make):
    """The folder that make(folder) filled, not over an hour ago: certificates are of today."""
    now = time.time()
    home = BUILD / "made"
    home.mkdir(exist_ok=True)
    folder = home / f"{name}-{int(now // HOUR)}"
    if not folder.exists():
        for old in home.iterdir():
            if now - old.stat().st_mtime > 2 * HOUR:
                shutil.rmtree(old, ignore_errors=True)
        ours = pathlib.Path(tempfile.mkdtemp(dir=home))
        try:
            make(ours)
            os.rename(ours, folder)
        except OSError:
            # Somebody else was faster; else it is not there.
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(ours, ignore_errors=True)
    return folder
