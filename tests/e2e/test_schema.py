"""`trien schema`: broken files told by file, line and reason; drafts of a kind and a case."""
import json
import re
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


def test_a_copy_from_the_register_says_what_corrected_its_original(tmp_path):
    text = (SCHEMAS / "results" / "ban-sao-tu-so-goc.json").read_text()
    file = tmp_path / "results" / "ban-sao-tu-so-goc.json"
    file.parent.mkdir()
    for old, new, good in (
            ("x", "x", True), ("{_corrected}", "", False),
            ('"only_if": "_corrected"', '"only_if": "muc_dich"', False),
            ('"only_if": "_corrected", ', "", True)):
        file.write_text(text.replace(old, new))
        done = schema("check", file)
        assert (done.returncode == 0) == good, done.stderr
        assert good or "must say what corrected its original" in done.stderr


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


def test_a_copy_is_previewed_without_its_original(tmp_path):
    """Its own page stands for those of the original; issued, a copy needs one (test_copies.py)."""
    kind = SCHEMAS / "results" / "ban-sao-chung-thuc-dien-tu.json"
    nothing = {f.name: None for f in sample.case().results[0].fields}
    case = sample.case(**{**nothing, "ten_ban_chinh": "Bằng tốt nghiệp",
                          "nguoi_yeu_cau": "Trần Thị Bích Ngọc"})
    case.results[0].kind = kind.stem
    path = tmp_path / "copy.json"
    path.write_text(json_format.MessageToJson(case))
    done = schema("preview", kind, path, "--schemas", SCHEMAS)
    assert done.returncode == 0, done.stderr
    text = text_of(tmp_path / "copy.pdf")
    assert "[Ở đây là các trang của bản chính]" in text
    assert "CHỨNG THỰC BẢN SAO" in text and "Bằng tốt nghiệp" in text
    assert text.count("BẢN NHÁP – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ") == 2


def preview_of(tmp_path, kind, *with_fields, schemas=SCHEMAS):
    """A draft of the first case of demo.jsonl of that kind that has these fields."""
    for line in (harness.ROOT / "loadtest" / "cases" / "demo.jsonl").open():
        case = json.loads(line)
        fields = {f["name"] for f in case["results"][0]["fields"]}
        if case["results"][0]["kind"] == kind and fields >= set(with_fields):
            break
    else:
        pytest.fail(f"no {kind} with {with_fields}")
    path = tmp_path / f"{kind}.json"
    path.write_text(json.dumps(case))
    done = schema("preview", schemas / "results" / f"{kind}.json", path, "--schemas", schemas)
    assert done.returncode == 0, done.stderr
    return path.with_suffix(".pdf")


def test_what_belongs_together_is_not_torn_apart(tmp_path):
    text = text_of(preview_of(tmp_path, sample.KIND, "cu_tru_tu", "cu_tru_den"))
    assert re.search(r"^Trong thời gian cư trú tại: .*\n+từ ngày [^\n]+ đến ngày \d+ tháng", text,
                     re.M)
    for kind in ("giay-chung-nhan-dang-ky-ho-kinh-doanh", "giay-tiep-nhan-ho-so"):
        text = text_of(preview_of(tmp_path, kind, "thu_dien_tu", "dien_thoai"))
        assert re.search(r"^ *Thư điện tử: \S+@\S+$", text, re.M)


def test_a_seal_alone_has_room_between_title_and_name(tmp_path):
    schemas = tmp_path / "schemas"
    shutil.copytree(SCHEMAS, schemas)
    subprocess.run([str(harness.TRIEN), *harness.keys_dev(tmp_path / "data", "p256", schemas)],
                   check=True, capture_output=True, timeout=120)
    shown = preview_of(tmp_path, "giay-tiep-nhan-ho-so", schemas=schemas)
    boxes = subprocess.run(["pdftotext", "-bbox", str(shown), "-"], capture_output=True, text=True,
                           check=True).stdout
    words = re.findall(r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">([^<]+)<', boxes)
    title = max(float(bottom) for _, bottom, word in words if word == "NGƯỜI")
    name = min(float(top) for top, _, word in words if word == "Châu")
    assert name - title >= 360 / 254 * 72 + 2       # 36 mm, and air
