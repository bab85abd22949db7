"""Images for originals.py: JPEG and PNG, good and bad, each with its expected answer."""

import io
import struct
import zlib

from PIL import Image, ImageDraw


def picture(mode="RGB", size=(80, 120)):
    """A page of a kind: uneven, so that no turn or mirror image is equal to another."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((5, 5, size[0] // 2, 20), fill="red")
    draw.line((0, size[1] - 1, size[0] // 3, 0), fill="blue", width=3)
    draw.ellipse((size[0] // 2, size[1] // 2, size[0] - 4, size[1] - 9), fill="green")
    return image.convert(mode)


# ---- JPEG ----

def jpeg(mode="RGB", size=(80, 120), **options):
    out = io.BytesIO()
    picture(mode, size).save(out, "JPEG", **options)
    return out.getvalue()


def exif(orientation, dpi=None):
    e = Image.Exif()
    e[0x0112] = orientation
    if dpi:
        e[0x011A] = e[0x011B] = float(dpi)
        e[0x0128] = 2
    return e.tobytes()


def sof(data, **changes):
    """The frame header with other values: marker, bits, width, height."""
    at = next(i for i in range(len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    data = bytearray(data)
    data[at + 1] = changes.get("marker", data[at + 1])
    data[at + 4] = changes.get("bits", data[at + 4])
    for key, place in (("height", 5), ("width", 7)):
        if key in changes:
            data[at + place:at + place + 2] = struct.pack(">H", changes[key])
    return bytes(data)


def no_jfif(data):
    """Without its APP0, and the components named as `ids` say."""
    n = struct.unpack(">H", data[4:6])[0]
    return data[:2] + data[4 + n:]


def rgb_letters(data):
    data = bytearray(no_jfif(data))
    at = data.index(b"\xff\xc0")
    scan = data.index(b"\xff\xda")
    for i, letter in enumerate(b"RGB"):
        data[at + 10 + 3 * i] = data[scan + 5 + 2 * i] = letter
    return bytes(data)


def jpegs():
    good = {"coding": "JPEG", "bits": 8, "components": 3, "width": 80, "height": 120,
            "orientation": 1, "palette": ""}
    plain = jpeg()

    def rebuilt(**more):
        return {"format": "JPEG", "wrapped": "REBUILT", "pages": 1, "images": [{**good, **more}]}

    yield "rgb.jpg", plain, rebuilt(page=[8000, 12000], runs=[[0, len(plain)]])
    yield "grey.jpg", jpeg("L"), rebuilt(components=1)
    yield "progressive.jpg", jpeg(progressive=True), rebuilt()
    yield "subsampled.jpg", jpeg(subsampling=2, quality=30), rebuilt()
    yield "restarts.jpg", jpeg(restart_marker_blocks=1), rebuilt()
    yield "dpi200.jpg", jpeg(dpi=(200, 200)), rebuilt(page=[2880, 4320])
    yield "fax.jpg", jpeg(dpi=(204, 98)), rebuilt(page=[80 * 7200 // 204, 120 * 7200 // 98])
    # 72 dpi is what programs write that do not know: no page is larger than A4 for it.
    yield "photo.jpg", jpeg(size=(1654, 2339), dpi=(72, 72)), rebuilt(
        width=1654, height=2339, page=[59528, 84181])
    yield "wide.jpg", jpeg(size=(2000, 1000)), rebuilt(width=2000, height=1000, page=[84189, 42094])
    for o in range(1, 9):
        yield f"exif{o}.jpg", jpeg(exif=exif(o)), rebuilt(
            orientation=o, page=[8000, 12000] if o < 5 else [12000, 8000])
    yield "exif-dpi.jpg", no_jfif(jpeg(exif=exif(6, 300))), rebuilt(
        orientation=6, page=[2880, 1920])
    yield "exif-odd.jpg", jpeg(exif=exif(99)), rebuilt()
    yield "cmyk.jpg", jpeg("CMYK"), {"wrapped": "COLOUR", "images": []}
    yield "letters.jpg", rgb_letters(plain), {"wrapped": "COLOUR"}
    for name, changes in {"12bit": {"bits": 12}, "lossless": {"marker": 0xC3},
                          "arithmetic": {"marker": 0xC9}, "hierarchical": {"marker": 0xC5},
                          "rows-unsaid": {"height": 0}}.items():
        yield f"{name}.jpg", sof(plain, **changes), {"refused": "ORIGINAL_FORMAT"}
    yield "60000.jpg", sof(plain, width=60000, height=60000), {"refused": "ORIGINAL_TOO_LARGE"}
    damaged = {"refused": "ORIGINAL_DAMAGED"}
    yield "half.jpg", plain[:len(plain) // 2], damaged
    yield "no-eoi.jpg", plain[:-2], damaged
    tail = {"format": "JPEG", "wrapped": "TAIL", "pages": 1, "images": []}
    yield "behind.jpg", plain + b"\0", tail
    yield "two.jpg", plain + plain, tail
    yield "half-behind.jpg", plain[:len(plain) // 2] + bytes(100), damaged
    several = plain[:2] + b"\xff\xe2\x00\x08MPF\0" + bytes(2) + plain[2:]
    yield "several.jpg", several + plain, tail
    yield "several-not.jpg", several + b"PK\3\4", tail
    yield "head.jpg", plain[:20], damaged
    yield "start.jpg", plain[:3], damaged
    yield "no-frame.jpg", b"\xff\xd8\xff\xd9", damaged
    restarts = jpeg(restart_marker_blocks=5)
    lost = restarts.index(b"\xff\xd0")
    yield "restart-lost.jpg", restarts[:lost] + restarts[restarts.index(b"\xff\xd1"):], damaged
    yield "rows-lost.jpg", restarts[:lost] + b"\xff\xd9", damaged
    yield "higher.jpg", sof(plain, width=8000, height=12000), damaged
    progressive = jpeg(progressive=True)
    yield "first-scan.jpg", progressive[:progressive.index(b"\xff\xda")] + b"\xff\xd9", damaged
    yield "frame-only.jpg", plain[:plain.index(b"\xff\xda")] + b"\xff\xd9", damaged


# ---- PNG ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png(colour=2, bits=8, size=(30, 20), interlaced=0, rows=None, pieces=1, before=(), behind=()):
    """Rows are of varied filters; `rows`: so many instead of those that the header says."""
    width, high = size
    line = (width * SAMPLES[colour] * bits + 7) // 8
    if rows is None:
        rows = high
    raw = b"".join(bytes([y % 5]) + bytes((x * 7 + y) & (1 if colour == 3 else 255)
                                          for x in range(line)) for y in range(rows))
    if interlaced:
        raw = b""
        for x0, dx, y0, dy in ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4),
                               (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)):
            w, h = (width - x0 + dx - 1) // dx, (high - y0 + dy - 1) // dy
            if w > 0 and h > 0:
                raw += (b"\0" + bytes((w * SAMPLES[colour] * bits + 7) // 8)) * h
    data = zlib.compress(raw)
    step = -(-len(data) // pieces)
    parts = [chunk(b"IDAT", data[i:i + step]) for i in range(0, len(data), step)]
    palette = [chunk(b"PLTE", bytes(range(6)))] if colour == 3 else []
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", width, high, bits, colour, 0, 0, interlaced)) + b"".join(
            [*palette, *before, *parts, *behind]) + chunk(b"IEND", b"")


def blown(megabytes, begin=b"", piece=b"\0"):
    """Deflated, without having been there: one piece of a megabyte again and again."""
    piece, check = piece * 1_000_000, zlib.adler32(begin)
    for _ in range(megabytes):
        check = zlib.adler32(piece, check)
    z = zlib.compressobj(9)
    head = z.compress(begin) + z.flush(zlib.Z_FULL_FLUSH)
    one = z.compress(piece) + z.flush(zlib.Z_FULL_FLUSH)
    return head + one * megabytes + z.flush()[:-4] + struct.pack(">I", check)


def png_bomb():
    """Small and declared small: what it inflates to is 20 MB."""
    data = png()
    return data[:33] + chunk(b"IDAT", blown(20)) + chunk(b"IEND", b"")


def pngs():
    def rebuilt(**more):
        return {"format": "PNG", "wrapped": "REBUILT", "pages": 1, "images": [
            {"coding": "FLATE_ROWS", "width": 30, "height": 20, "orientation": 1, **more}]}

    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8)}.items():
        for bits in depths:
            yield f"{colour}-{bits}.png", png(colour, bits), rebuilt(
                bits=bits, components=SAMPLES[colour],
                palette="000102030405" if colour == 3 else "")
    plain = png()
    yield "pieces.png", png(pieces=5), rebuilt()
    yield "pillow.png", made(picture(), "PNG"), rebuilt(width=80, height=120, bits=8, components=3)
    yield "bw.png", made(picture("1"), "PNG"), rebuilt(width=80, height=120, bits=1, components=1)
    yield "dpi300.png", made(picture(), "PNG", dpi=(300, 300)), rebuilt(
        width=80, height=120, page=[1920, 2880])
    yield "exif.png", png(before=[chunk(b"eXIf", exif(8)[6:])]), rebuilt(orientation=8)
    yield "hint.png", png(before=[chunk(b"PLTE", bytes(9))]), rebuilt(palette="")
    coding = {"format": "PNG", "wrapped": "CODING", "pages": 1, "images": []}
    for colour in (4, 6):
        for bits in (8, 16):
            yield f"{colour}-{bits}.png", png(colour, bits), coding
    for size in ((30, 20), (1, 1), (3, 9)):
        yield f"interlaced{size[0]}.png", png(interlaced=1, size=size), coding
    yield "transparent.png", png(before=[chunk(b"tRNS", bytes(6))]), coding
    yield "animated.png", png(before=[chunk(b"acTL", bytes(8))]), coding
    long = png(size=(90, 900), pieces=2100)
    yield "many.png", long, {"wrapped": "LONG", "images": []}
    damaged = {"refused": "ORIGINAL_DAMAGED"}
    wrong = bytearray(plain)
    wrong[50] ^= 1
    yield "crc.png", bytes(wrong), damaged
    yield "half.png", plain[:len(plain) // 2], damaged
    yield "no-end.png", plain[:-12], damaged
    yield "behind.png", plain + b"x", {**coding, "wrapped": "TAIL"}
    yield "crc-behind.png", bytes(wrong) + b"x", damaged
    yield "rows-less.png", png(rows=19), damaged
    yield "rows-more.png", png(rows=21), damaged
    yield "interlaced-less.png", png(interlaced=1, size=(30, 20))[:33] + png(rows=5)[33:], damaged
    yield "no-palette.png", png(3).replace(chunk(b"PLTE", bytes(range(6))), b""), damaged
    yield "critical.png", png(before=[chunk(b"NEWS", b"1")]), damaged
    yield "late.png", png(behind=[chunk(b"tEXt", b"a\0b"), chunk(b"IDAT", b"")]), damaged
    yield "depth.png", plain[:24] + b"\x04" + plain[25:], damaged
    yield "bomb.png", png_bomb(), damaged
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    yield "60000.png", plain[:8] + header + plain[33:], {"refused": "ORIGINAL_TOO_LARGE"}
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0))
    yield "0.png", plain[:8] + header + plain[33:], damaged


def made(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()
