"""PDFs for originals.py, by a writer of our own, good and bad, each with its expected answer."""

import io
import random
import re
import struct
import zlib

from PIL import Image

from originalimages import blown, jpeg, made, picture, sof

A4 = (59528, 84189)  # 1/100 pt


class Pdf:
    """Objects, and the three forms of their table. Object 1 is the catalog, 2 the page tree."""

    def __init__(self):
        self.objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
        self.pages = []

    def add(self, body, data=None):
        number = max(self.objects | {2: b""}) + 1
        if data is not None:
            body = b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), body, data)
        self.objects[number] = body
        return number

    def page(self, content, resources=b"", box=b"[0 0 595.28 841.89]", more=b"", filter_it=False):
        if filter_it:
            n = self.add(b"/Filter /FlateDecode", zlib.compress(content))
        else:
            n = self.add(b"", content)
        self.pages.append(self.add(b"<< /Type /Page /Parent 2 0 R /MediaBox %s /Contents %d 0 R "
                                   b"/Resources << %s >> %s >>" % (box, n, resources, more)))

    def scan(self, dict_, data, matrix=b"595.28 0 0 841.89 0 0", content=None, **more):
        """A page that shows one image."""
        n = self.add(b"/Type /XObject /Subtype /Image " + dict_, data)
        self.page(content or b"q %s cm /Im0 Do Q" % matrix,
                  b"/XObject << /Im0 %d 0 R >>" % n, **more)
        return n

    def all_objects(self):
        kids = b" ".join(b"%d 0 R" % n for n in self.pages)
        return {**self.objects, 2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (
            kids, len(self.pages))}

    def body(self, objects, out):
        """Appends them; {number: offset}."""
        at = {}
        for number, text in sorted(objects.items()):
            at[number] = len(out)
            out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
        return at

    def bytes(self, trailer=b"", shift=None, head=b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"):
        """With a classic table; shift: {object: by how much its offset is wrong}."""
        out = bytearray(head)
        objects = self.all_objects()
        at = self.body(objects, out)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1)
        for number in sorted(at):
            out += b"%010d 00000 n \n" % (at[number] + (shift or {}).get(number, 0))
        out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
            len(at) + 1, trailer, start)
        return bytes(out)

    def streamed(self, packed=False, predictor=True, wrong=0):
        """With a cross-reference stream; packed: what may lie in an object stream does."""
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        objects = self.all_objects()
        inside = {n: o for n, o in objects.items() if packed and b"stream" not in o}
        rows = {0: (0, 0, 65535)}
        if inside:
            text, table = b"", b""
            for n, o in sorted(inside.items()):
                table += b"%d %d " % (n, len(text))
                text += o + b" "
            packed_n = max(objects) + 1
            data = zlib.compress(table + text)
            objects = {n: o for n, o in objects.items() if n not in inside}
            objects[packed_n] = (b"<< /Type /ObjStm /N %d /First %d /Length %d /Filter "
                                 b"/FlateDecode >>\nstream\n%s\nendstream" % (
                                     len(inside), len(table), len(data), data))
            rows |= {n: (2, packed_n, i) for i, n in enumerate(sorted(inside))}
        rows |= {n: (1, at + wrong, 0) for n, at in self.body(objects, out).items()}
        number, start = max(rows) + 1, len(out)
        rows[number] = (1, start, 0)
        raw, above = b"", bytes(7)
        for n in sorted(rows):
            row = struct.pack(">BIH", *rows[n])
            raw += b"\2" + bytes((a - b) & 255 for a, b in zip(row, above)) if predictor else row
            above = row
        data = zlib.compress(raw)
        out += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Root 1 0 R /Filter /FlateDecode %s" \
               b"/Length %d >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (
                   number, number + 1,
                   b"/DecodeParms << /Predictor 12 /Columns 7 >> " if predictor else b"",
                   len(data), data, start)
        return bytes(out)


JPEG_DICT = b"/Width 80 /Height 120 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter /DCTDecode"
PALETTE_ROWS = zlib.compress(b"\2\0\1\2\2\1\1\1")
FLATE = (b"/Width %d /Height %d /BitsPerComponent %d /ColorSpace %s /Filter /FlateDecode ")


def scanned(pages=1, **more):
    p = Pdf()
    for i in range(pages):
        p.scan(JPEG_DICT, jpeg(quality=60 + i), **more)
    return p


def flate(space=b"/DeviceRGB", bits=8, samples=3, size=(30, 20), more=b"", rows=None, tail=b"",
          predictor=None):
    line = (size[0] * samples * bits + 7) // 8
    raw = (b"\1" if predictor else b"") + bytes(x & 1 for x in range(line))
    p = Pdf()
    parms = b"/DecodeParms << /Predictor 15 /Colors %d /BitsPerComponent %d /Columns %d >>" % (
        samples, bits, size[0]) if predictor else b""
    p.scan(FLATE % (*size, bits, space) + parms + more,
           zlib.compress(raw * (size[1] if rows is None else rows)) + tail)
    return p


def group4(image):
    """As libtiff codes it, in one strip."""
    with Image.open(io.BytesIO(made(image, "TIFF", compression="group4",
                                    tiffinfo={278: image.height}))) as t:
        at, n = t.tag_v2[273][0], t.tag_v2[279][0]
        t.fp.seek(at)
        return t.fp.read(n)


def fax(inverted=False, k=-1, more=b"", decode=b"", image=None, data=None, high=None):
    image = image or picture("1")
    p = Pdf()
    p.scan(b"/Width %d /Height %d /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter "
           b"/CCITTFaxDecode /DecodeParms << /K %d /Columns %d %s %s >> %s" % (
               image.width, high or image.height, k, image.width,
               b"/BlackIs1 true" if inverted else b"", more, decode), data or group4(image))
    return p


def noise(width, high, few):
    """Black and white, of runs of all lengths where few is small."""
    r = random.Random(width)
    image = Image.new("1", (width, high), 1)
    for y in range(high):
        at = 0
        while at < width:
            n = int(r.expovariate(few)) + 1
            if r.random() < .5:
                image.paste(0, (at, y, min(width, at + n), y + 1 + r.randrange(2)))
            at += n
    return image


def fax_pdfs():
    whole = {"wrapped": "REBUILT", "images": [{"coding": "FAX", "bits": 1}]}
    damaged = {"refused": "ORIGINAL_DAMAGED"}
    for width, few in ((1, 1), (2, 1), (9, .3), (1728, .01), (2481, .0008), (6000, .0005)):
        yield f"fax{width}.pdf", fax(image=noise(width, 60, few)).bytes(), whole
    data = group4(picture("1"))
    yield "fax-cut.pdf", fax(data=data[:len(data) // 2]).bytes(), damaged
    yield "fax-less.pdf", fax(high=121).bytes(), damaged
    yield "fax-more.pdf", fax(high=119).bytes(), {"wrapped": "CODING"}
    yield "fax-wrong.pdf", fax(data=b"\x02" * 60).bytes(), damaged
    yield "fax-behind.pdf", fax(data=data + b"hidden").bytes(), {"wrapped": "CODING"}


def updated(data, objects, free=(), wrong=0):
    """An incremental update: other objects, and some that are gone; wrong: by how much the table
    is."""
    out = bytearray(data)
    before = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    size = int(re.findall(rb"/Size (\d+)", data)[-1])
    rows = {n: b"0000000000 00001 f \n" for n in free}
    for n, text in objects.items():
        rows[n] = b"%010d 00000 n \n" % (len(out) + wrong)
        out += b"%d 0 obj\n%s\nendobj\n" % (n, text)
    start = len(out)
    out += b"xref\n" + b"".join(b"%d 1\n%s" % (n, rows[n]) for n in sorted(rows))
    out += b"trailer\n<< /Size %d /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        max([size, *(n + 1 for n in objects)]), before, start)
    return bytes(out)


def updated_pdfs():
    """Objects: 1 catalog, 2 pages, 3 image, 4 content, 5 page."""
    scan = scanned().bytes()
    drawn = b"<< /Length 32 >>\nstream\nq 1 0 0 1 0 0 cm /Im0 Do 0 0 m Q\nendstream"
    turned = b"<< /Length 28 >>\nstream\nq 0 9 9 0 0 0 cm /Im0 Do Q \nendstream"
    once = updated(scan, {4: drawn})
    yield "update.pdf", once, {"wrapped": "NOT_IMAGES", "pages": 1}
    yield "update2.pdf", updated(once, {4: turned}), {"wrapped": "REBUILT", "images": [
        {"orientation": 7, "shown": [0, 0, 900, 900]}]}
    yield "update-new.pdf", updated(scan, {6: b"<< /S /Launch /F (x) >>"}), {
        "refused": "ORIGINAL_ACTIVE"}
    yield "update-gone.pdf", updated(updated(scan, {6: b"<< /S /Launch /F (x) >>"}), {}, [6]), {
        "wrapped": "REBUILT"}
    yield "update-image-gone.pdf", updated(scan, {}, [3]), {"wrapped": "NOT_IMAGES"}
    yield "update-wrong.pdf", updated(scan, {4: drawn}, wrong=1), {"refused": "ORIGINAL_DAMAGED"}
    # What an older table says of it counts too: some program may believe that one.
    yield "update-over-wrong.pdf", updated(scanned().bytes(shift={4: 1}), {4: turned}), {
        "refused": "ORIGINAL_DAMAGED"}


def image_pdfs():
    def rebuilt(pages=1, **more):
        return {"format": "PDF", "wrapped": "REBUILT", "pages": pages, "images": [
            {"orientation": 1, "page": list(A4), "shown": [0, 0, *A4], **more}] * pages}

    scan = scanned()
    for name, data in {"table": scan.bytes(), "stream": scan.streamed(),
                       "packed": scan.streamed(packed=True),
                       "plain-stream": scan.streamed(packed=True, predictor=False)}.items():
        at = data.index(b"\xff\xd8")
        yield f"{name}.pdf", data, rebuilt(coding="JPEG", width=80, height=120,
                                           runs=[[at, data.rindex(b"\xff\xd9") + 2 - at]])
    yield "scan12.pdf", scanned(12).bytes(), rebuilt(12, coding="JPEG")
    yield "deflated.pdf", scanned(filter_it=True).bytes(), rebuilt(coding="JPEG")
    yield "grey8.pdf", flate(b"/DeviceGray", 8, 1).bytes(), rebuilt(
        coding="FLATE", bits=8, components=1)
    yield "rgb16.pdf", flate(bits=16).bytes(), rebuilt(coding="FLATE", bits=16, components=3)
    yield "rows.pdf", flate(predictor=15).bytes(), rebuilt(coding="FLATE_ROWS", components=3)
    yield "eol.pdf", flate(tail=b"\r\n").bytes(), rebuilt(coding="FLATE")
    yield "bw.pdf", flate(b"/DeviceGray", 1, 1).bytes(), rebuilt(bits=1, inverted=False)
    yield "bw-not.pdf", flate(b"/DeviceGray", 1, 1, more=b"/Decode [1 0]").bytes(), rebuilt(
        bits=1, inverted=True)
    yield "palette.pdf", flate(b"[/Indexed /DeviceRGB 1 <000102FFFEFD>]", 1, 1).bytes(), rebuilt(
        bits=1, components=1, palette="000102fffefd")
    yield "palette-grey.pdf", flate(b"[/Indexed /DeviceGray 3 <00408000>]", 2, 1).bytes(), rebuilt(
        bits=2, palette="000000404040808080000000")
    for name, clip in {"clip": b"0 0 596 842 re W n", "clip2": b"-9 -9 999 999 re W* n",
                       "clip3": b"q 2 0 0 2 0 0 cm 0 0 298 421 re W n .5 0 0 .5 0 0 cm",
                       "clip4": b"q 0 0 9 9 re W n Q 0 0 7 7 re n"}.items():
        yield f"{name}.pdf", scanned(
            content=clip + b" q 595.28 0 0 841.89 0 0 cm /Im0 Do Q").bytes(), rebuilt()
    yield "fax.pdf", fax().bytes(), rebuilt(coding="FAX", bits=1, inverted=False)
    yield "fax-not.pdf", fax(True).bytes(), rebuilt(coding="FAX", inverted=True)
    yield "fax-twice.pdf", fax(True, decode=b"/Decode [1 0]").bytes(), rebuilt(inverted=False)
    parted = Pdf()
    n = parted.add(b"/Subtype /Image " + JPEG_DICT, jpeg())
    a, b = parted.add(b"", b"q 595.28 0 0 841.89"), parted.add(b"", b"0 0 cm /Im0 Do Q")
    parted.page(b"", b"/XObject << /Im0 %d 0 R >>" % n, more=b"/Contents [%d 0 R %d 0 R]" % (a, b))
    parted.objects = {k: v.replace(b"/Contents 6 0 R ", b"") for k, v in parted.objects.items()}
    yield "parted.pdf", parted.bytes(), rebuilt()


def placed_pdfs():
    """Where the image stands on the page that a reader sees."""
    def at(orientation, page, shown):
        return {"wrapped": "REBUILT", "images": [
            {"orientation": orientation, "page": page, "shown": shown}]}

    side, turned = [60000, 30000], [30000, 60000]
    box = b"[0 0 600 300]"
    for degrees, orientation, page, shown in (
            (0, 1, side, [1000, 2000, 40000, 10000]), (90, 6, turned, [2000, 19000, 10000, 40000]),
            (180, 3, side, [19000, 18000, 40000, 10000]),
            (270, 8, turned, [18000, 1000, 10000, 40000]),
            (-90, 8, turned, [18000, 1000, 10000, 40000])):
        yield f"rotate{degrees}.pdf", scanned(
            matrix=b"400 0 0 100 10 20", box=box, more=b"/Rotate %d" % degrees).bytes(), at(
                orientation, page, shown)
    for matrix, orientation in {b"-400 0 0 100 410 20": 2, b"400 0 0 -100 10 120": 4,
                                b"0 -100 -400 0 410 120": 5, b"0 -100 400 0 10 120": 6,
                                b"0 100 400 0 10 20": 7, b"0 100 -400 0 410 20": 8,
                                b"400 0 0 100 0 0 cm 1 0 0 1 .025 .2": 1}.items():
        yield f"matrix{orientation}.pdf", scanned(matrix=matrix, box=box).bytes(), at(
            orientation, side, [1000, 2000, 40000, 10000])
    yield "crop.pdf", scanned(matrix=b"400 0 0 100 10 20", box=box,
                              more=b"/CropBox [5 10 305 900]").bytes(), at(
        1, [30000, 29000], [500, 1000, 40000, 10000])
    yield "crop90.pdf", scanned(matrix=b"400 0 0 100 10 20", box=box,
                                more=b"/Rotate 90 /CropBox [5 10 305 210]").bytes(), at(
        6, [20000, 30000], [1000, 30000 - 500 - 40000, 10000, 40000])
    yield "origin.pdf", scanned(matrix=b"400 0 0 100 110 220", box=b"[700 500 100 200]").bytes(), \
        at(1, side, [1000, 2000, 40000, 10000])
    yield "unit.pdf", scanned(matrix=b"200 0 0 50 5 10", box=b"[0 0 300 150]",
                              more=b"/UserUnit 2").bytes(), at(1, side, [1000, 2000, 40000, 10000])


def wrapped_pdfs():
    def wrapped(why, pages=1):
        return {"format": "PDF", "wrapped": why, "pages": pages, "images": []}

    text = Pdf()
    font = text.add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    text.page(b"BT /F1 12 Tf 72 700 Td (Ho so) Tj ET", b"/Font << /F1 %d 0 R >>" % font)
    yield "text.pdf", text.bytes(), wrapped("NOT_IMAGES")
    mixed = scanned(2)
    mixed.page(b"0 0 10 10 re f")
    yield "mixed.pdf", mixed.bytes(), wrapped("NOT_IMAGES", 3)
    for name, content in {
            "two": b"q 500 0 0 500 0 0 cm /Im0 Do /Im0 Do Q", "none": b"q Q", "over": b"q 595 0 0 "
            b"841 0 0 cm /Im0 Do Q 0 0 9 9 re f",
            "clip": b"0 0 9 9 re W n q 595 0 0 841 0 0 cm /Im0 Do Q",
            "stroke": b"0 0 9 9 re S q 595 0 0 841 0 0 cm /Im0 Do Q", "path": b"9 9 m 1 1 l W n "
            b"/Im0 Do", "clipped-later": b"q 0 0 9 9 re W q /Im0 Do Q Q",
            "skew": b"q 500 50 -50 500 0 0 cm /Im0 Do Q", "flat": b"q 0 0 0 0 0 0 cm /Im0 Do Q",
            "unbalanced": b"Q /Im0 Do", "inline": b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI",
            "junk": b"q ) cm /Im0 Do Q", "missing": b"/Im1 Do",
            # Numbers beyond all bounds; what a clip of such would hide is not known.
            "endless": b"q %s 0 0 841 0 0 cm /Im0 Do Q" % (b"9" * 400),
            "overflow": b"q %s 0 0 1 %s 0 cm %s 0 0 1 -%s 0 cm /Im0 Do Q" % (
                (b"9" * 200,) * 4),
            "clip-endless": b"%s.%s 0 9 842 re W n q 595 0 0 841 0 0 cm /Im0 Do Q" % (
                b"9" * 309, b"0" * 309)}.items():
        yield f"shows-{name}.pdf", scanned(content=content).bytes(), wrapped("NOT_IMAGES")
    yield "annotated.pdf", scanned(
        more=b"/Annots [<< /Type /Annot /Subtype /Square /Rect [0 0 9 9] >>]").bytes(), wrapped(
            "NOT_IMAGES")
    for key in (b"/SMask 1 0 R", b"/Mask [0 0 0 0 0 0]", b"/ImageMask true"):
        yield f"{key[1:4].decode().lower()}ed.pdf", flate(more=key).bytes(), wrapped("NOT_IMAGES")
    for space in (b"/DeviceCMYK", b"[/Lab << /WhitePoint [1 1 1] >>]", b"/Pattern",
                  b"[/Indexed /DeviceCMYK 0 <00000000>]", b"[/Indexed /DeviceRGB 9 <00>]"):
        yield f"space{len(space)}.pdf", flate(space).bytes(), wrapped("COLOUR")
    yield "decode.pdf", flate(more=b"/Decode [1 0 1 0 1 0]").bytes(), wrapped("COLOUR")
    p = Pdf()
    p.scan(JPEG_DICT.replace(b"/DeviceRGB", b"/DeviceCMYK"), jpeg("CMYK"))
    yield "cmyk.pdf", p.bytes(), wrapped("COLOUR")
    p = Pdf()
    p.scan(JPEG_DICT, jpeg("L"))
    yield "jpeg-other.pdf", p.bytes(), wrapped("CODING")
    p = Pdf()
    p.scan(JPEG_DICT, sof(jpeg(), marker=0xC9))
    yield "jpeg-arithmetic.pdf", p.bytes(), wrapped("CODING")
    for name, parms in {"tiff": b"/Predictor 2 /Colors 3 /Columns 30",
                        "columns": b"/Predictor 15 /Colors 3 /Columns 31"}.items():
        yield f"{name}.pdf", flate(more=b"/DecodeParms << %s >>" % parms).bytes(), wrapped("CODING")
    yield "rows-more.pdf", flate(rows=21).bytes(), wrapped("CODING")
    yield "tail.pdf", flate(tail=b"hidden").bytes(), wrapped("CODING")
    yield "group3.pdf", fax(k=0).bytes(), wrapped("CODING")
    yield "aligned.pdf", fax(more=b"/EncodedByteAlign true").bytes(), wrapped("CODING")
    yield "jbig2.pdf", flate().bytes().replace(b"/FlateDecode ", b"/JBIG2Decode "), wrapped(
        "CODING")
    yield "huge-page.pdf", scanned(box=b"[0 0 14400 14400]").bytes(), wrapped("NOT_IMAGES")
    yield "long.pdf", scanned(151).bytes(), wrapped("LONG", 151)
    # One image again and again: rebuilt, the copy would be many times its original.
    again = scanned()
    for _ in range(149):
        again.page(b"q 595.28 0 0 841.89 0 0 cm /Im0 Do Q", b"/XObject << /Im0 3 0 R >>")
    yield "again.pdf", again.bytes(), wrapped("LONG", 150)
    # Rows of the palette are filtered: up, of four bytes.
    palette = flate(b"[/Indexed /DeviceRGB 1 6 0 R]", 1, 1)
    palette.objects[6] = (b"<< /Length %d /Filter /FlateDecode /DecodeParms << /Predictor 12 "
                          b"/Columns 3 >> >>\nstream\n%s\nendstream" % (
                              len(PALETTE_ROWS), PALETTE_ROWS))
    yield "palette-rows.pdf", palette.bytes(), wrapped("COLOUR")


def refused_pdfs():
    scan, whole = scanned(), scanned().bytes()

    def refused(why):
        return {"refused": "ORIGINAL_" + why}

    yield "empty", b"", refused("EMPTY")
    yield "text.txt", b"Kinh gui", refused("FORMAT")
    yield "gif", made(picture("P"), "GIF"), refused("FORMAT")
    yield "tiff", made(picture(), "TIFF"), refused("FORMAT")
    yield "junk.pdf", b"\nMIME: x\n" + whole, refused("JUNK")
    yield "late.pdf", bytes(2000) + whole, refused("FORMAT")
    for n in (len(whole) - 8, len(whole) - 60, len(whole) // 2, 100, 6):
        yield f"cut{len(whole) - n}.pdf", whole[:n], refused("DAMAGED")
    yield "behind.pdf", whole + b"more", refused("DAMAGED")
    yield "no-startxref.pdf", whole.replace(b"startxref", b"startxxxx"), refused("DAMAGED")
    start = int(whole.split(b"startxref\n")[1].split()[0])
    for by in (-1, 1, 40):
        yield f"startxref{by}.pdf", whole.replace(b"startxref\n%d" % start, b"startxref\n%d" % (
            start + by)), refused("DAMAGED")
    for number in (1, 2, 3, 5):
        yield f"offset{number}.pdf", scan.bytes(shift={number: 3}), refused("DAMAGED")
    yield "offset-stream.pdf", scan.streamed(packed=True, wrong=1), refused("DAMAGED")
    yield "swapped.pdf", whole.replace(b"\n3 0 obj", b"\n4 0 obj"), refused("DAMAGED")
    yield "size.pdf", whole.replace(b"/Size 6", b"/Size 4"), refused("DAMAGED")
    yield "circle.pdf", scan.bytes(trailer=b"/Prev %d" % start), refused("DAMAGED")
    yield "prev.pdf", scan.bytes(trailer=b"/Prev 10"), refused("DAMAGED")
    yield "hybrid.pdf", scan.bytes(trailer=b"/XRefStm 20"), refused("HYBRID")
    yield "hybrid-escaped.pdf", scan.bytes(trailer=b"/XRef#53tm 20"), refused("HYBRID")
    yield "length.pdf", whole.replace(b"/Length 36", b"/Length 30"), refused("DAMAGED")
    yield "dictionary.pdf", whole.replace(b"/Count 1 >>", b"/Count 1 <<"), refused("DAMAGED")
    yield "no-pages.pdf", whole.replace(b"/Type /Page ", b"/Type /Pega "), refused("DAMAGED")
    yield "dangling.pdf", whole.replace(b"/Pages 2 0 R", b"/Pages 9 0 R"), refused("DAMAGED")
    yield "image-short.pdf", flate(rows=19).bytes(), refused("DAMAGED")
    yield "image-broken.pdf", flate().bytes().replace(b"stream\nx\x9c", b"stream\nx\x9d"), \
        refused("DAMAGED")
    p = Pdf()
    p.scan(JPEG_DICT, jpeg()[:-40])
    yield "image-cut.pdf", p.bytes(), refused("DAMAGED")
    p = Pdf()
    p.scan(FLATE % (60000, 60000, 8, b"/DeviceRGB"), b"x")
    yield "60000.pdf", p.bytes(), refused("TOO_LARGE")
    yield from active_pdfs()
    yield from bomb_pdfs()


def active_pdfs():
    active = {"refused": "ORIGINAL_ACTIVE"}
    for name, key in {
            "open": b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>",
            "escaped": b"/OpenAction << /S /Java#53cript /JS (app.alert(1)) >>",
            "names": b"/Names << /JavaScript << /Names [] >> >>",
            "xfa": b"/AcroForm << /Fields [] /XFA (x) >>",
            "aa": b"/AA << /WC << /S /JavaScript /JS (x) >> >>",
            "launch": b"/OpenAction << /S /Launch /F (cmd.exe) >>",
            "rendition": b"/OpenAction << /S /Rendition /JS (x) >>"}.items():
        p = scanned()
        p.objects[1] = b"<< /Type /Catalog /Pages 2 0 R %s >>" % key
        yield f"active-{name}.pdf", p.bytes(), active
        yield f"active-{name}-packed.pdf", p.streamed(packed=True), active
    p = scanned(more=b"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /Launch "
                     b"/F (x) >> >>]")
    yield "active-annotation.pdf", p.bytes(), active
    p = scanned()
    p.add(b"<< /S /JavaScript /JS (unreferenced) >>")
    yield "active-loose.pdf", p.bytes(), active
    # What kind of action it is, is said elsewhere.
    for name, kind in {"launch": b"/Launch", "escaped": b"/La#75nch", "rendition": b"/Rendition",
                       "javascript": b"/JavaScript"}.items():
        p = scanned()
        n = p.add(kind)
        p.objects[1] = (b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S %d 0 R /JS (x) /F (x) "
                        b">> >>" % n)
        yield f"active-indirect-{name}.pdf", p.bytes(), active
        yield f"active-indirect-{name}-packed.pdf", p.streamed(packed=True), active
    p = scanned()
    p.objects[1] = b"<< /Type /Catalog /Pages 2 0 R /Lang (/S /JavaScript) >>"
    yield "inactive.pdf", p.bytes(), {"wrapped": "REBUILT"}


def bomb_pdfs():
    """Small files, each of which would be hundreds of megabytes."""
    zeros = blown(100)
    p = Pdf()
    p.scan(FLATE % (10, 10, 8, b"/DeviceGray"), zeros)
    bomb = {"refused": "ORIGINAL_TOO_LARGE"}
    yield "bomb-image.pdf", p.bytes(), bomb
    p = Pdf()
    n = p.add(b"/Subtype /Image " + JPEG_DICT, jpeg())
    p.page(b"", b"/XObject << /Im0 %d 0 R >>" % n)
    p.objects[p.pages[0] - 1] = (b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (
        len(zeros), zeros))
    yield "bomb-content.pdf", p.bytes(), bomb
    for name, filters, data in (
            ("twice", b"[/FlateDecode /FlateDecode]", zlib.compress(blown(300))),
            ("jpeg", b"[/FlateDecode /DCTDecode]", blown(100)),
            ("hex", b"[/ASCIIHexDecode /FlateDecode]", blown(300).hex().encode() + b">")):
        p = scanned()
        p.add(b"/Filter " + filters, data)
        yield f"bomb-{name}.pdf", p.bytes(), bomb
    p = scanned()
    p.page(b"0 0 1 1 re f")
    p.add(b"/Subtype /Image " + FLATE % (60000, 60000, 1, b"/DeviceGray"), b"x")
    yield "60000-unseen.pdf", p.bytes(), bomb
    yield "bomb-objects.pdf", bomb_objects(), bomb


def bomb_objects():
    """The catalog is said to lie in the object stream that is a bomb."""
    p = scanned()
    bomb = p.add(b"/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode",
                 blown(300, b"1 0 ", b" "))
    out = bytearray(b"%PDF-1.7\n")
    objects = p.all_objects()
    del objects[1]
    rows = {0: (0, 0, 65535), 1: (2, bomb, 0)}
    rows |= {n: (1, at, 0) for n, at in p.body(objects, out).items()}
    number = max(rows) + 1
    rows[number] = (1, len(out), 0)
    raw = b"".join(struct.pack(">BIH", *rows[n]) for n in sorted(rows))
    start = len(out)
    out += b"%d 0 obj\n<< /Type /XRef /Size %d /W [1 4 2] /Root 1 0 R /Length %d >>\nstream\n%s\n" \
           b"endstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (
               number, number + 1, len(raw), raw, start)
    return bytes(out)
