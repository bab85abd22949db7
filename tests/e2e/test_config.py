"""Settings that change what an engine works with: encrypted keys, other fonts, its own host."""
import glob
import subprocess

import pytest

import harness
from sample import case, send

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
