"""ICC profiles for originals.py, and PDFs whose image has one, each with its expected answer."""

import random
import struct

from PIL import ImageCms

from originalimages import chunk, jpeg, made, picture, png
from originalpdfs import JPEG_DICT, Pdf

SRGB = (.4361, .2225, .0139), (.3851, .7169, .0971), (.1431, .0606, .7141)
ADOBE = (.6097, .3111, .0195), (.2053, .6257, .0609), (.1492, .0632, .7446)
DISPLAY_P3 = (.5151, .2412, -.0011), (.2920, .6922, .0419), (.1571, .0666, .7841)


def fixed(*values):
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def gamma(v):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(v * 256))


def table(*values):
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + b"".join(
        struct.pack(">H", round(v * 65535)) for v in values)


def function(kind, *parameters):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*parameters)


LINEAR = table()
SRGB_CURVE = function(3, 2.4, 1 / 1.055, .055 / 1.055, 1 / 12.92, .04045)


def profile(tags, space=b"RGB ", kind=b"mntr", signature=b"acsp"):
    at, head, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        head += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    return struct.pack(">I", size) + bytes(8) + kind + space + b"XYZ " + bytes(12) + signature + \
        bytes(88) + head + body


def matrix(primaries=SRGB, curve=SRGB_CURVE, more=None, **how):
    tags = {c + b"XYZ": b"XYZ " + bytes(4) + fixed(*v) for c, v in zip((b"r", b"g", b"b"),
                                                                      primaries)}
    tags |= {c + b"TRC": curve for c in (b"r", b"g", b"b")}
    return profile({**tags, **(more or {})}, **how)


def grey(curve=SRGB_CURVE, **how):
    return profile({b"kTRC": curve}, space=how.pop("space", b"GRAY"), **how)


def with_profile(data, components=3):
    """A PDF of one image."""
    p = Pdf()
    n = p.add(b"/N %d" % components, data)
    space = b"[/ICCBased %d 0 R]" % n
    p.scan(JPEG_DICT.replace(b"/DeviceRGB", space), jpeg("RGB" if components == 3 else "L"))
    return p.bytes()


def profiles():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    good = {"library": srgb, "matrix": matrix(), "scanner": matrix(kind=b"scnr"),
            "gamma22": matrix(curve=gamma(2.2)), "gamma18": matrix(curve=gamma(1.8)),
            "table": matrix(curve=table(0, .05, .2, .5, 1)),
            "even": matrix(curve=table(0, .1, .3, 1)),
            "p3": matrix(DISPLAY_P3),
            "function4": matrix(curve=function(4, 2.4, 1 / 1.055, .055 / 1.055, 1 / 12.92, .04045,
                                               0, 0))}
    for name, data in good.items():
        yield f"icc-{name}.pdf", with_profile(data), {"wrapped": "REBUILT", "images": [
            {"components": 3}]}
    for name, data in {"": grey(), "-gamma": grey(gamma(2.2))}.items():
        yield f"icc-grey{name}.pdf", with_profile(data, 1), {"wrapped": "REBUILT", "images": [
            {"components": 1}]}
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    other = {"none": b"profile", "lab": lab, "lab-matrix": matrix(space=b"Lab "), "grey": grey(),
             "adobe": matrix(ADOBE), "linear": matrix(curve=LINEAR),
             "dark": matrix(curve=gamma(4)), "tables": matrix(more={b"A2B0": bytes(40)}),
             "only-tables": profile({b"A2B0": bytes(40)}), "link": matrix(kind=b"link"),
             "unsigned": matrix(signature=b"acsx"), "cut": matrix()[:-4],
             "half-curve": matrix(curve=table(0, .2, 1)[:-2]),
             "no-function": matrix(curve=function(9, 2.2))}
    for name, data in other.items():
        yield f"icc-other-{name}.pdf", with_profile(data), {"wrapped": "COLOUR", "images": []}
    for name, data in {"rgb": matrix(), "linear": grey(LINEAR)}.items():
        yield f"icc-other-grey-{name}.pdf", with_profile(data, 1), {"wrapped": "COLOUR"}
    yield from profiles_within()


def profiles_within():
    """Of JPEG and PNG files: one that is of other samples is passed by, as others do."""
    rebuilt, other = {"wrapped": "REBUILT"}, {"wrapped": "COLOUR", "images": []}
    large = matrix(ADOBE, more={b"desc": random.Random(1).randbytes(70_000)})
    for name, data, answer in (("srgb", matrix(), rebuilt), ("p3", matrix(DISPLAY_P3), rebuilt),
                               ("grey", grey(LINEAR), rebuilt), ("lab", matrix(space=b"Lab "),
                                rebuilt), ("none", b"none", rebuilt),
                               ("adobe", matrix(ADOBE), other), ("large", large, other),
                               ("linear", matrix(curve=LINEAR), other)):
        yield f"icc-{name}.jpg", jpeg(icc_profile=data), answer
        yield f"icc-{name}.png", made(picture(), "PNG", icc_profile=data), answer
        yield f"icc-{name}-palette.png", made(picture("P"), "PNG", icc_profile=data), answer
    for name, data, answer in (("own", grey(), rebuilt), ("linear", grey(LINEAR), other),
                               ("rgb", matrix(ADOBE), rebuilt)):
        yield f"icc-grey-{name}.jpg", jpeg("L", icc_profile=data), answer
        yield f"icc-grey-{name}.png", made(picture("L"), "PNG", icc_profile=data), answer
    p = Pdf()       # a PDF's own colour space is what counts there
    p.scan(JPEG_DICT, jpeg(icc_profile=matrix(ADOBE)))
    yield "icc-within.pdf", p.bytes(), rebuilt
    yield "icc-broken.png", png(before=[chunk(b"iCCP", b"x\0\0none")]), rebuilt
    yield "icc-short.png", png(before=[chunk(b"iCCP", b"x")]), rebuilt
