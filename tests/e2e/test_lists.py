"""What the commands print for people: headings, times, what became of each, what to do."""
import json
import os
import pty
import re
import subprocess

import pytest

import harness
from sample import case

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+07"


def trien(*args, code=0, **kw):
    done = subprocess.run([str(harness.TRIEN), *map(str, args)], capture_output=True, text=True,
                          timeout=120, **kw)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def on_terminal(*args):
    """What the command prints where its standard output is a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([str(harness.TRIEN), *map(str, args)], stdout=slave)
    os.close(slave)
    said = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:             # its end
            break
        if not piece:
            break
        said += piece
    os.close(master)
    assert process.wait(60) == 0
    return said.decode().replace("\r\n", "\n")


def lines_of(path, *cases):
    from google.protobuf import json_format
    path.write_text("".join(json.dumps(json_format.MessageToDict(c)) + "\n" for c in cases))
    return path


@pytest.fixture
def submitted(shared, tmp_path):
    c = case(number="001099000555")
    path = lines_of(tmp_path / "one.jsonl", c)
    said = trien("submit", path, "--wait", "--data", shared.data).stdout
    return c, said


def test_submit_shows_what_became_of_each(shared, submitted):
    _, said = submitted
    row = re.search(r"^(\w{26})  STORED  (\d+/XNTTHN-UBND)  line 1$", said, re.M)
    assert row, said
    again = trien("get", row[1], "--data", shared.data).stdout
    assert f"number       {row[2]}" in again
    assert len(re.findall(rf"  (?:accepted|issued|stored) +{TIME}$", again, re.M)) == 3


def test_a_certified_copy_is_shown_as_it_is_at_the_end(shared, tmp_path):
    from copying import copy_case
    from drawn import coded, picture
    scan = tmp_path / "scan.png"
    scan.write_bytes(coded(picture(), "PNG"))
    path = lines_of(tmp_path / "case.json", copy_case())
    said = trien("certify", scan, "--case", path, "--wait", "--data", shared.data).stdout
    assert re.search(rf"^\w{{26}}  STORED  \S+  {scan}$", said, re.M), said
    (tmp_path / "list.jsonl").write_text(json.dumps(
        {"file": "scan.png", "case": json.loads(path.read_text())}) + "\n")
    said = trien("certify", "--list", tmp_path / "list.jsonl", "--wait", "--data",
                 shared.data).stdout
    assert said.splitlines()[-1] == \
        "1 copies, 1 of them issued before; 0 refused; 1 stored, 0 held, 0 not yet"


def test_headings_are_for_terminals(shared, submitted):
    c, _ = submitted
    list_one = ("list", "--number", "001099000555", "--data", shared.data)
    shown = on_terminal(*list_one)
    assert re.match(r"RESULT +ISSUED +LIFE +HOLDER IS +NUMBER +KIND\n", shown)
    assert shown.count("RESULT") == 1
    piped = trien(*list_one).stdout
    assert re.match(rf"\w{{26}}  {TIME}  VALID", piped) and piped in shown
    shown = on_terminal("case", c.results[0].unit, c.code, "--data", shared.data)
    assert shown.startswith("STATE ")
    assert on_terminal("reads", "--number", "001099000555", "--data",
                       shared.data).startswith("READ ")


def test_status_says_units_and_since_when(shared):
    said = trien("status", "--data", shared.data).stdout
    assert re.match(rf"running since +{TIME}, store ", said)
    assert re.search(r"^now, results\n  in flight +[\d,]+\n  held", said, re.M)
    assert re.search(r"^since it started, cases\n  accepted ", said, re.M)
    assert re.search(r"^since it started, results\n  stored ", said, re.M)


def test_an_empty_book_and_a_printed_one(shared, submitted, tmp_path):
    unit = harness.UNITS[0]
    said = trien("register", "check", "--unit", unit, "--code", "GPVH", "--data",
                 shared.data).stdout
    assert ": no number yet: 0 issued" in said
    path = tmp_path / "book.pdf"
    said = trien("register", "print", "--unit", unit, "--code", "XNTTHN", "--output", path,
                 "--data", shared.data).stdout
    assert re.fullmatch(rf"{path}: \d+ numbers, {path.stat().st_size} bytes\n", said)


def test_what_is_missing_is_said(tmp_path):
    done = trien("verify", "x.pdf", code=66, cwd=tmp_path,
                 env={k: v for k, v in os.environ.items() if k != "TRIEN_DATA"})
    assert "there is no root to trust: give --trust" in done.stderr and "--data" in done.stderr
    done = trien("submit", "-", "--json", "--receipts", tmp_path / "r", code=2)
    assert "--json and --receipts exclude each other" in done.stderr
    done = trien("status", "--connect", "127.0.0.1:1", code=69)
    assert "a port with TLS wants --tls-ca" in done.stderr
    assert "--tls-ca" not in trien("status", "--data", tmp_path, code=69).stderr


def test_help_stands_in_columns():
    columns = {re.match(r"  \S+ +", line).end() for line in trien("help").stdout.splitlines()
               if line.startswith("  ")}
    assert len(columns) == 1
    rows = re.findall(r"^  --\w+ +", trien("serve", "--help").stdout, re.M)
    assert len(rows) > 40 and len({len(row) for row in rows}) == 1
