"""Settings that change what an engine works with: encrypted keys, other fonts, its own host."""
import glob
import json
import subprocess

import pytest

import harness
from authority import DAY, Authority, utc_now
from sample import SIGNER, case, send

DEJAVU = sorted(glob.glob("/usr/share/fonts/truetype/dejavu/DejaVuSerif*.ttf"))


def first_pdf(engine):
    stubs = engine.stubs()
    r = send(stubs, [case()]).receipts[0]
    engine.wait_stored(stubs, [r.result_id])
    path = engine.folder / "first.pdf"
    path.write_bytes(engine.download(stubs, r.result_id)[0])
    engine.trien("verify", "--trust", engine.data / "certs", path)
    return path


def test_encrypted_keys_open_with_their_passphrase(tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("một câu mật khẩu\n")
    secret.chmod(0o600)
    engine = harness.Engine(tmp_path / "e", passphrase_file=secret)
    engine.prepare("--passphrase-file", secret)
    keys = list((engine.data / "keys").glob("*.pem"))
    assert keys and all("ENCRYPTED" in k.read_text() for k in keys)
    try:
        engine.start()
        first_pdf(engine)
        assert engine.stop() == 0
        secret.write_text("ein anderer Satz\n")
        engine.start(ready=False)
        assert engine.wait_end() != 0
        assert "passphrase" in engine.log() and "mật khẩu" not in engine.log()
    finally:
        engine.kill()


@pytest.mark.skipif(not DEJAVU, reason="the DejaVu fonts are not installed")
def test_another_font_by_configuration(tmp_path):
    of = {name: path for path in DEJAVU for name in [path.rsplit("/", 1)[1]]}
    engine = harness.Engine(
        tmp_path / "e", font_regular=of["DejaVuSerif.ttf"], font_bold=of["DejaVuSerif-Bold.ttf"],
        font_italic=of.get("DejaVuSerif-Italic.ttf", of["DejaVuSerif.ttf"]),
        font_bold_italic=of.get("DejaVuSerif-BoldItalic.ttf", of["DejaVuSerif-Bold.ttf"]))
    engine.prepare()
    try:
        engine.start()
        assert b"/FontName/" in first_pdf(engine).read_bytes()
        assert b"DejaVuSerif" in first_pdf(engine).read_bytes()
    finally:
        engine.kill()


def test_a_font_that_is_none_stops_the_start(engine):
    engine.settings["font_regular"] = engine.data / "certs" / "root.pem"
    engine.start(ready=False)
    assert engine.wait_end() != 0
    assert "root.pem" in engine.log()


def test_the_host_of_the_code_is_the_configured_one(tmp_path):
    engine = harness.Engine(tmp_path, verify_host="HTTPS://DVC.EXAMPLE.VN")
    engine.prepare()
    try:
        engine.start()
        text = subprocess.run(["pdftotext", "-raw", first_pdf(engine), "-"], capture_output=True,
                              text=True, check=True, timeout=60).stdout
        assert "HTTPS://DVC.EXAMPLE.VN/V/" in text and "TRIEN.EXAMPLE" not in text
    finally:
        engine.kill()


def test_keys_of_a_development_ca_sign_marked_pages_only(tmp_path):
    """At the start, at a reload, and told by --check-config before."""
    engine = harness.Engine(tmp_path / "e", development="false", algorithm="p256").prepare()
    engine.start(ready=False)
    assert engine.wait_end() == 78
    assert "throw-away CA" in engine.log() and "serve with --development" in engine.log()
    checked = engine.trien(*engine.command()[1:], "--check-config", check=False)
    assert checked.returncode == 78 and "serve with --development" in checked.stderr

    path = engine.data / "certs" / "keys.json"
    rows = path.read_text()
    Authority(engine).issue(SIGNER[harness.UNITS[0]], utc_now() + DAY, "own")
    own = json.loads(path.read_text())
    own["keys"] = [key for key in own["keys"] if key["id"] == "own"]
    path.write_text(json.dumps(own))
    try:
        engine.start(registers=False)
        path.write_text(rows)
        engine.hup()
        assert "certificates stay as they were: key '" in engine.log()
        assert engine.stop() == 0
        engine.settings["development"] = "true"
        engine.start()
        shown = first_pdf(engine)
        text = subprocess.run(["pdftotext", shown, "-"], capture_output=True, text=True,
                              check=True, timeout=60).stdout
        assert "KHÔNG CÓ GIÁ TRỊ PHÁP LÝ" in text
    finally:
        engine.kill()


def test_check_config_knows_the_journal_that_is_there(engine):
    engine.start(registers=False)
    assert engine.stop() == 0
    engine.settings["journal_segment_mb"] = "16"
    checked = engine.trien(*engine.command()[1:], "--check-config", check=False)
    assert checked.returncode == 78 and "journal_segment_mb back to 4" in checked.stderr
    engine.settings["journal_segment_mb"] = "4"
    assert engine.trien(*engine.command()[1:], "--check-config").stderr == ""
