"""Originals of many forms, made here, and copies of them drawn by copy_draw.c without an engine."""
import io
import subprocess

import harness

DRAW = harness.BUILD / "copy_draw"
CERTIFIED, REGISTER = "ban-sao-chung-thuc-dien-tu", "ban-sao-tu-so-goc"
RED, GREEN, BLUE, GREY = (230, 20, 20), (20, 200, 30), (30, 30, 220), (120, 120, 120)


def picture(mode="RGB", size=(120, 160)):
    """Each quarter in a colour of its own, so that none can be taken for another."""
    from PIL import Image
    image = Image.new("RGB", size)
    w, h = size[0] // 2, size[1] // 2
    for i, colour in enumerate((RED, GREEN, BLUE, GREY)):
        image.paste(colour, (i % 2 * w, i // 2 * h, i % 2 * w + w, i // 2 * h + h))
    for i in range(size[0]):
        image.putpixel((i, (i * i) % size[1]), (i, 255 - i, (i * 7) % 256))
    return image.convert(mode)


def coded(image, form, **how):
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def sixteen_bits():
    """Of grey; each sample's lower byte is of all values."""
    from PIL import Image
    grey = picture("L")
    low = bytes((x * 31 + x // 120 * 7) % 256 for x in range(grey.width * grey.height))
    both = b"".join(bytes(pair) for pair in zip(low, grey.tobytes()))
    return Image.frombytes("I;16", grey.size, both)


JPEGS = {
    "rgb": lambda: coded(picture(), "JPEG", quality=90),
    "grey": lambda: coded(picture("L"), "JPEG", quality=90),
    "progressive": lambda: coded(picture(), "JPEG", quality=80, progressive=True),
}
PNGS = {mode: lambda mode=mode: picture(mode) for mode in ("RGB", "L", "1")}
PNGS["palette of 4 bits"] = lambda: picture().quantize(16)
PNGS["palette of 8 bits"] = lambda: picture().quantize(200)
PNGS["16 bits"] = sixteen_bits


def scans():
    """A PDF of three scanned pages in colours and grey."""
    images = [picture(), picture("L", (200, 100)), picture("RGB", (64, 64))]
    return coded(images[0], "PDF", save_all=True, append_images=images[1:])


def fax(black_is_one=False, decode=False):
    """A PDF of one page in Group 4 (Pillow's own leaves the TIFF around it)."""
    from PIL import Image
    w, h = 64, 48
    tiff = coded(picture("1", (w, h)), "TIFF", compression="group4")
    tags = Image.open(io.BytesIO(tiff)).tag_v2
    data = tiff[tags[273][0]:tags[273][0] + tags[279][0]]
    image = (f"<</Type/XObject/Subtype/Image/Width {w}/Height {h}/BitsPerComponent 1"
             f"/ColorSpace/DeviceGray/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns {w}"
             f"/Rows {h}/BlackIs1 {str(black_is_one).lower()}>>"
             f"{'/Decode[1 0]' if decode else ''}/Length {len(data)}>>\nstream\n")
    show = b"q 128 0 0 96 0 0 cm/I Do Q"
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 128 96]/Contents 4 0 R"
               b"/Resources<</XObject<</I 5 0 R>>>>>>",
               b"<</Length %d>>\nstream\n%s\nendstream" % (len(show), show),
               image.encode() + data + b"\nendstream"]
    out, offsets = b"%PDF-1.7\n", []
    for n, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
    table = b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return out + (b"xref\n0 6\n0000000000 65535 f \n%strailer\n<</Size 6/Root 1 0 R>>\n"
                  b"startxref\n%d\n%%%%EOF\n" % (table, len(out)))


def draw(data, pdf, how="final", kind=CERTIFIED):
    source = pdf.with_suffix(".in")
    source.write_bytes(data)
    subprocess.run([DRAW, how, kind, source, pdf], check=True, timeout=60)
    return pdf


def drafts(folder):
    """Without signatures that are none, for whoever looks at those too."""
    files = [JPEGS["rgb"](), scans(), fax(True), coded(picture("RGBA"), "PNG")]
    files += [coded(PNGS[name](), "PNG") for name in ("palette of 4 bits", "16 bits")]
    return [draw(data, folder / f"draft-{i}.pdf", "draft") for i, data in enumerate(files)]
