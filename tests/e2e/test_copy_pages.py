"""The pages of copies, drawn without an engine (copy_draw.c): what others' tools find in them is
what came, byte for byte and pixel for pixel."""
import array
import io
import re
import subprocess

import pytest

from drawn import (CERTIFIED, JPEGS, PNGS, REGISTER, coded, draw as draw_copy, fax, picture,
                   scans)

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")


def turned(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return coded(picture(), "JPEG", quality=92, subsampling=0, exif=exif)


@pytest.fixture(scope="module")
def draw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    made = {}

    def get(data, how="final", kind=CERTIFIED):
        key = (data, how, kind)
        if key not in made:
            made[key] = draw_copy(data, folder / f"{len(made)}.pdf", how, kind)
        return made[key]

    return get


def run(*args):
    return subprocess.run([str(a) for a in args], check=True, capture_output=True,
                          timeout=60).stdout


def pages(pdf, tmp_path, dpi=72):
    run("pdftoppm", "-r", dpi, "-png", pdf, tmp_path / "page")
    return [Image.open(p).convert("RGB") for p in sorted(tmp_path.glob("page*.png"))]


def images(pdf, tmp_path, *how):
    """Of the pages before the last one, which is the statement."""
    last = int(re.search(rb"Pages: +(\d+)", run("pdfinfo", pdf))[1]) - 1
    run("pdfimages", *how, "-l", last, pdf, tmp_path / "image")
    return sorted(tmp_path.glob("image*"))


def samples_of(pdf):
    """Of its first page's image, filters undone."""
    listed = run("pdfimages", "-list", "-l", 1, pdf).decode().splitlines()
    number = listed[2].split()[listed[0].split().index("object")]
    return run("qpdf", f"--show-object={number}", "--filtered-stream-data", pdf)


def is_sound(pdf, data, suffix):
    run("qpdf", "--check", pdf)
    assert run("qpdf", f"--show-attachment=ban-goc.{suffix}", pdf) == data


def text_of(pdf):
    return " ".join(run("pdftotext", "-layout", pdf, "-").decode().split())


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_comes_out_as_it_came(draw, tmp_path, name):
    data = JPEGS[name]()
    pdf = draw(data)
    is_sound(pdf, data, "jpg")
    (image,) = images(pdf, tmp_path, "-all")
    assert image.read_bytes() == data


@pytest.mark.parametrize("name", PNGS)
def test_a_png_comes_out_pixel_for_pixel(draw, tmp_path, name):
    image = PNGS[name]()
    data = coded(image, "PNG")
    pdf = draw(data)
    is_sound(pdf, data, "png")
    if name == "16 bits":       # poppler's reader gives the upper eight of them
        samples = array.array("H", image.tobytes())
        samples.byteswap()      # the most significant byte first in both formats
        assert len(set(image.tobytes()[::2])) > 100 and samples_of(pdf) == samples.tobytes()
    else:
        (found,) = images(pdf, tmp_path, "-png")
        assert Image.open(found).convert("RGB").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_shown_upright(draw, tmp_path, orientation):
    data = turned(orientation)
    pdf = draw(data)
    is_sound(pdf, data, "jpg")
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    page = pages(pdf, tmp_path)[0]
    assert (page.width < page.height) == (upright.width < upright.height)
    for x in (0.25, 0.75):
        for y in (0.3, 0.7):
            here = [i.getpixel((int(x * i.width), int(y * i.height))) for i in (page, upright)]
            assert all(abs(a - b) < 40 for a, b in zip(*here)), (x, y, here)


def test_a_scanned_pdf_is_rebuilt_page_by_page(draw, tmp_path):
    data = scans()
    pdf = draw(data)
    is_sound(pdf, data, "pdf")
    wanted = tmp_path / "wanted.pdf"
    wanted.write_bytes(data)
    for folder in ("of", "ours"):
        (tmp_path / folder).mkdir()
    run("pdfimages", "-all", wanted, tmp_path / "of" / "image")
    ours = images(pdf, tmp_path / "ours", "-all")
    theirs = sorted((tmp_path / "of").glob("image*"))
    assert [p.read_bytes() for p in ours] == [p.read_bytes() for p in theirs]
    sizes = [re.findall(rb"Page +\d+ size: +([\d.]+) x ([\d.]+)", run("pdfinfo", "-l", 9, f))
             for f in (pdf, wanted)]
    assert sizes[0][:-1] == sizes[1] and len(sizes[0]) == 4


@pytest.mark.parametrize("black_is_one", (False, True))
@pytest.mark.parametrize("decode", (False, True))
def test_black_stays_black(draw, tmp_path, black_is_one, decode):
    data = fax(black_is_one, decode)
    pdf, wanted = draw(data), tmp_path / "wanted.pdf"
    wanted.write_bytes(data)
    is_sound(pdf, data, "pdf")
    shown = []
    for n, file in enumerate((pdf, wanted)):
        (tmp_path / str(n)).mkdir()
        shown.append(pages(file, tmp_path / str(n))[0])
    assert shown[0].size == (128, 96) and shown[0].tobytes() == shown[1].tobytes()


def test_the_statement_says_what_was_copied(draw):
    data = JPEGS["rgb"]()
    text = text_of(draw(data))
    digest = run("sha256sum", "-b", draw(data).with_suffix(".in")).split()[0].decode()
    for words in ("CHỨNG THỰC BẢN SAO ĐÚNG VỚI BẢN CHÍNH", "Số chứng thực: 1207",
                  "quyển số: 02/2026-SCT/BS", "Ngày 29 tháng 11 năm 2026", "PHÓ CHỦ TỊCH",
                  "Nguyễn Thị Hoài Thư", "Bản sao gồm 1 trang", "ban-goc.jpg", "JPEG", digest,
                  f"{len(data):,}".replace(",", ".") + " byte", "nộp hồ sơ xin việc làm"):
        assert words in text
    assert "không có trang nào" not in text and "BẢN THỬ" not in text


def test_what_is_not_shown_is_said_to_be_attached(draw):
    for data, suffix, why in (
            (coded(picture("RGBA"), "PNG"), "png", "trong suốt"),
            (coded(picture("CMYK"), "JPEG"), "jpg", "hệ màu"),
            (draw(JPEGS["rgb"](), "draft").read_bytes(), "pdf", "mỗi trang một ảnh quét"),
            (draw(JPEGS["rgb"]()).read_bytes(), "pdf", "đã được ký số")):
        pdf = draw(data)
        is_sound(pdf, data, suffix)
        text = text_of(pdf)
        assert "không có trang nào hiển thị lại bản chính, vì" in text
        assert f"tệp ban-goc.{suffix}" in text and why in text
        assert re.search(rb"Pages: +1\n", run("pdfinfo", pdf))


def test_a_copy_of_our_own(draw):
    result = draw(JPEGS["rgb"]()).read_bytes()
    pdf = draw(result, kind=REGISTER)
    is_sound(pdf, result, "pdf")
    text = text_of(pdf)
    for words in ("BẢN SAO TỪ SỔ GỐC", "Số: 1207/BSSG-UBND", "đã ghi trong sổ gốc",
                  "cơ quan ban hành"):
        assert words in text
    assert "CHỨNG THỰC" not in text


def test_what_is_no_result_is_marked_on_each_page(draw):
    data = turned(6)
    pdf = draw(data, "draft")
    is_sound(pdf, data, "jpg")
    for page in (1, 2):
        assert "DỰ THẢO" in run("pdftotext", "-f", page, "-l", page, pdf, "-").decode()
    text = text_of(pdf)
    assert "Số chứng thực: ……, quyển số: …/…-SCT/BS" in text and "Ngày …… tháng" in text
    text = text_of(draw(data, "preview"))
    assert "[Ở đây là các trang của bản chính]" in text and text.count("BẢN NHÁP") >= 2
