"""README.md is true: its blocks are run as printed, one after the other, in a fresh copy."""
import re
import shutil
import subprocess

import pytest

import harness
from clone import clone, stop_left

TOOLS = ("grpcurl", "curl")
RUN = ("sh", "python")
FETCHED = "build/client"    # what needs packages from elsewhere


def blocks():
    """(line, language, text) of each fenced block."""
    text = (harness.ROOT / "README.md").read_text()
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    return [(text[:m.start()].count("\n") + 1, m[1], m[2]) for m in found]


class Reader:
    """Runs the blocks in order in one place; what a shell exports, the next one has."""

    def __init__(self, folder):
        self.folder = folder
        self.done = {}
        self.state = folder / "build" / "exported.sh"
        self.state.write_text("")

    def upto(self, line):
        for at, language, text in blocks():
            if at > line:
                break
            if language in RUN and at not in self.done:
                self.done[at] = self.run(language, text)
        return self.done[line]

    def run(self, language, text):
        """None, or why it was left out; fails with what the block printed."""
        if language == "python":
            name = re.match(r"# (\S+)\n", text)[1]
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
            return None
        missing = [t for t in TOOLS if re.search(rf"^\s*{t} ", text, re.M) and not shutil.which(t)]
        if missing:
            return f"{missing[0]} is not installed"
        if FETCHED in text and "venv" not in text and not self.has_packages():
            return "grpcio cannot be fetched"
        script = f"set -e\n. {self.state}\n{text}\nexport -p >{self.state}\n"
        with (self.folder / "build" / "block.log").open("w+") as out:
            code = subprocess.run(["bash", "-c", script], cwd=self.folder, stdout=out, stderr=out,
                                  stdin=subprocess.DEVNULL, timeout=300).returncode
            out.seek(0)
            said = out.read()
        if code != 0 and "pip install" in text and not self.has_packages():
            return "grpcio cannot be fetched"
        assert code == 0, f"exit code {code} of\n{text}\n{said}"
        return None

    def has_packages(self):
        python = self.folder / FETCHED / "bin" / "python"
        return python.exists() and subprocess.run([python, "-c",
                                                   "import grpc_tools"]).returncode == 0


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = clone(tmp_path_factory.mktemp("readme"))
    yield Reader(folder)
    stop_left(folder)


@pytest.mark.parametrize("line", [line for line, language, _ in blocks() if language in RUN])
def test_block(reader, line):
    left_out = reader.upto(line)
    if left_out:
        pytest.skip(left_out)


def test_nothing_is_left_running(reader):
    last = [line for line, language, _ in blocks() if language == "sh"][-1]
    reader.upto(last)
    harness.wait_for(lambda: not stop_left(reader.folder, signal=0), 20)


def test_the_other_blocks_hold_no_command_but_run():
    """Pictures, and the two commands that other tests are, or run."""
    for line, language, text in blocks():
        assert language in (*RUN, "text"), f"line {line}: {language}"
        if language == "text":
            told = set(re.findall(r"^(?:\./run|trien|grpcurl) \w+", text, re.M))
            assert told <= {"./run demo", "./run test"}, f"line {line}"


def test_what_it_names_is_there():
    text = (harness.ROOT / "README.md").read_text()
    names = set(re.findall(r"\]\(([\w./-]+)\)", text)) | set(re.findall(r'src="([^"]+)"', text))
    names |= {folder + door for folder,
              door in re.findall(r"^\| `(engine/\w*/?)` \| `([\w./]+)`", text, re.M)}
    names |= set(re.findall(r"`((?:engine|proto|schemas|keys|loadtest|tests)/[\w./-]*)`", text))
    assert len(names) > 25
    assert [n for n in sorted(names) if not (harness.ROOT / n).exists()] == []
    folders = {f"engine/{p.name}/" for p in (harness.ROOT / "engine").iterdir() if p.is_dir()}
    assert folders <= set(re.findall(r"`(engine/\w+/)`", text))
