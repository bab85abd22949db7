"""Originals that may be copied, and those that may not: `trien inspect` in its limited child."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import zlib

import harness
import originals


def inspect(*words):
    p = subprocess.run([str(harness.TRIEN), "inspect", "--json", *map(str, words)],
                       capture_output=True, text=True, timeout=120, check=False)
    return p.returncode, json.loads(p.stdout)


def like(got, wanted):
    """What is wanted is so; what is not named may be anything."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(like(got.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        return len(got) == len(wanted) and all(map(like, got, wanted))
    return got == wanted


def holds_its_image(stream, image):
    """What the runs name is one coded image, whole."""
    if image["coding"] == "JPEG":
        return stream[:2] == b"\xff\xd8" and stream[-2:] == b"\xff\xd9"
    if image["coding"] == "FAX":
        return len(stream) > 0
    row = (image["width"] * image["components"] * image["bits"] + 7) // 8
    row += image["coding"] == "FLATE_ROWS"
    return len(zlib.decompressobj().decompress(stream)) == row * image["height"]


def test_each_original_gets_its_answer(tmp_path):
    files = originals.corpus(tmp_path)
    if harness.sanitized():     # qpdf inflates it whole: only the memory's bound stops that
        bomb, _ = files["bomb-objects.pdf"]
        files["bomb-objects.pdf"] = bomb, {"refused": "ORIGINAL_DAMAGED"}
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    code, answers = inspect(*(tmp_path / name for name in files))
    assert code == 1 and len(answers) == len(files)
    wrong = [(name, expected, got) for (name, (_, expected)), got in zip(files.items(), answers)
             if not like(got, expected or {})]
    assert not wrong, "\n".join(f"{n}: wanted {e}, got {g}" for n, e, g in wrong)
    for (name, (data, _)), got in zip(files.items(), answers):
        for image in got.get("images", []):
            stream = b"".join(data[at:at + n] for at, n in image["runs"])
            assert holds_its_image(stream, image), name


def test_people_are_told_why_in_both_languages(tmp_path):
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.pdf"
    good.write_bytes(originals.jpeg())
    bad.write_bytes(originals.scanned().bytes()[:-100])

    def run(*words):
        return subprocess.run([str(harness.TRIEN), "inspect", *map(str, words)],
                              capture_output=True, text=True, timeout=60, check=False)

    p = run(good)
    assert p.returncode == 0 and p.stdout == f"{good}: JPEG, 1 page: rebuilt from its images\n"
    p = run(bad, good)
    assert p.returncode == 1 and "ORIGINAL_DAMAGED" in p.stdout and "Tệp bản chính" in p.stdout
    assert run(tmp_path / "none", good).returncode == 66
    assert run("/dev/null").returncode == 66
    assert run().returncode == 2


def status(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_the_engine_has_a_process_for_them_and_gets_another(engine):
    engine.start(registers=False)
    first = harness.wait_for(lambda: engine.children().get("foreign"))
    harness.wait_for(lambda: status(first)["Seccomp"] == "2")
    assert status(first)["NoNewPrivs"] == "1"
    # Each file costs a fork of it: what the engine needs beside is not mapped there. What others
    # attach to a PDF it reads by jansson.
    mapped = pathlib.Path(f"/proc/{first}/maps").read_text()
    assert "/libqpdf" in mapped
    assert not re.search(r"/lib(grpc|absl|protobuf|curl|pq|sqlite3)", mapped), mapped
    before = engine.children()
    os.kill(first, signal.SIGKILL)
    second = harness.wait_for(lambda: engine.children().get("foreign", first) != first and
                              engine.children())
    assert {n: p for n, p in second.items() if n != "foreign"} == {
        n: p for n, p in before.items() if n != "foreign"}
    assert engine.stop() == 0, engine.log()
    assert not engine.children_left()


def installed(folder, *names):
    """Programs of this build in a folder of their own."""
    folder.mkdir()
    for name in names:
        shutil.copy(harness.BUILD / "engine" / name, folder / name)
    return folder


def test_what_does_not_lie_beside_the_program_is_named(engine, tmp_path):
    here = installed(tmp_path / "bin", "trien")
    good = tmp_path / "good.jpg"
    good.write_bytes(originals.jpeg())

    def run(*words):
        p = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60,
                           check=False)
        assert p.returncode == 78, p
        return p.stderr

    assert f"{here}/trien-foreign: No such file" in run(here / "trien", "inspect", good)
    words = ["serve", "--data", engine.data, "--schemas", engine.schemas]
    assert f"{here}/trien-foreign: No such file" in run(here / "trien", *words)
    (here / "trien-foreign").write_text("not to be executed")
    assert f"{here}/trien-foreign: Permission denied" in run(here / "trien", "inspect", good)
    # Another build's trien, or a person.
    foreign = harness.BUILD / "engine" / "trien-foreign"
    assert "another version" in run(foreign)
    assert "another version" in run(foreign, "0", "info", "10")


def test_another_version_that_is_installed_meanwhile_is_left_alone(engine, tmp_path, monkeypatch):
    here = installed(tmp_path / "bin", "trien", "trien-foreign")
    monkeypatch.setattr(harness, "TRIEN", here / "trien")
    engine.start(registers=False)
    first = harness.wait_for(lambda: engine.children().get("foreign"))
    (here / "trien-foreign").unlink()
    shutil.copy("/bin/false", here / "trien-foreign")
    os.kill(first, signal.SIGKILL)
    harness.wait_for(lambda: engine.log().count("foreign: ready") == 2)
    assert engine.stop() == 0, engine.log()
