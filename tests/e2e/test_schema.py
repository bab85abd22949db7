"""`trien schema`: broken files told by file, line and reason; drafts of a kind and a case."""
import json
import shutil
import subprocess

import pytest
from google.protobuf import json_format

import harness
import sample

SCHEMAS = harness.ROOT / "schemas"
KIND = SCHEMAS / "results" / f"{sample.KIND}.json"


def schema(*args):
    return subprocess.run([str(harness.TRIEN), "schema", *map(str, args)], capture_output=True,
                          text=True, timeout=60)


@pytest.fixture
def case_file(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(json_format.MessageToJson(sample.case()))
    return path


def text_of(pdf):
    return subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True,
                          check=True).stdout


def test_shipped_files_are_good():
    files = sorted(SCHEMAS.glob("*/*.json"))
    done = schema("check", *files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": good\n") == len(files)


def test_a_broken_file_is_told_by_line(tmp_path):
    lines = KIND.read_text().splitlines()
    wrong = next(i for i, line in enumerate(lines) if "{ho_ten|upper}" in line)
    lines[wrong] = lines[wrong].replace("{ho_ten|upper}", "{ho_tem|upper}")
    broken = tmp_path / KIND.name
    broken.write_text("\n".join(lines))
    reason = "{ho_tem} is no field of this kind; did you mean {ho_ten}?"

    done = schema("check", KIND, broken)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{broken}:{wrong + 1}: ") and reason in done.stderr
    assert done.stdout == f"{KIND}: good\n"

    rows = json.loads(schema("check", "--json", KIND, broken).stdout)
    assert rows[0] == {"file": str(KIND), "valid": True}
    assert rows[1]["valid"] is False and rows[1]["line"] == wrong + 1
    assert rows[1]["reason"].endswith(reason)


def test_wrong_calls():
    assert schema().returncode == 2
    assert schema("check").returncode == 2
    assert schema("preview", KIND).returncode == 2
    assert schema("check", "/nowhere.json").returncode == 1


def test_a_preview_is_marked_and_has_no_number(tmp_path, case_file):
    done = schema("preview", KIND, case_file, "--schemas", SCHEMAS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "case.pdf")
    text = text_of(tmp_path / "case.pdf")
    assert "BẢN NHÁP" in text
    assert "TRẦN THỊ BÍCH NGỌC" in text
    assert "01/XNTTHN" not in text


def test_a_changed_kind_is_drawn_before_it_is_shipped(tmp_path, case_file):
    draft = tmp_path / "draft.json"
    draft.write_text(KIND.read_text().replace("XÁC NHẬN:", "XIN THỬ:"))
    out = tmp_path / "out.pdf"
    done = schema("preview", draft, case_file, "--schemas", SCHEMAS, "--output", out, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"pdf": str(out)}
    assert "XIN THỬ:" in text_of(out)
    if shutil.which("qpdf"):
        subprocess.run(["qpdf", "--check", str(out)], check=True, capture_output=True)


def test_a_case_that_does_not_fit_is_refused_without_its_content(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(json_format.MessageToJson(sample.case(ho_ten=None)))
    done = schema("preview", KIND, path, "--schemas", SCHEMAS)
    assert done.returncode == 1
    assert "FIELD_MISSING" in done.stderr and "ho_ten" in done.stderr
    assert "Ngọc" not in done.stderr
    assert not (tmp_path / "case.pdf").exists()
    path.write_text('{"code": "X", "kode": "Trần Thị"}')
    done = schema("preview", KIND, path, "--schemas", SCHEMAS)
    assert done.returncode == 1 and "kode" in done.stderr and "Trần" not in done.stderr
