"""Attacks on a result with two signatures: each makes a file that shows something else than what
was signed, or that has bytes which nobody signed (faults and their names: USF, ISA, SWA, shadow,
evil annotation, sneaky signature, …). Every function here takes a File and gives bytes."""
import re

from asn1crypto import cms, core

ALL = {}


def attack(make):
    ALL[make.__name__] = make
    return make


class File:
    """A result as it was issued, cut into what the attacks need."""

    def __init__(self, data, other):
        self.data, self.other = data, other
        self.start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", data).group(1))
        self.size = int(re.findall(rb"/Size (\d+)", data)[-1])
        self.root = int(re.search(rb"/Root (\d+) 0 R", data).group(1))
        self.id = re.findall(rb"/ID\[.*?\]", data)[-1]
        self.catalog = self.object(self.root)
        self.page = int(re.search(rb"/Kids\[(\d+) 0 R", data).group(1))
        self.content = int(re.search(rb"/Contents (\d+) 0 R", self.object(self.page)).group(1))
        self.holes = [m.span() for m in re.finditer(rb"(?<=/Contents)<[0-9A-F]{200,}>", data)]
        self.ends = [m.end() for m in re.finditer(rb"%%EOF\n", data)]

    def object(self, number):
        """Its newest text between obj and endobj."""
        at = [m.end() for m in re.finditer(rb"(?<![0-9])%d 0 obj\n" % number, self.data)][-1]
        return self.data[at:self.data.index(b"\nendobj\n", at)]

    def update(self, objects, entries=(), trailer=b"", prev=None, root=None, base=None):
        """A revision more, in classic form; entries: ready lines of the table instead of ours."""
        data = self.data if base is None else base
        start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", data).group(1))
        at, out = {}, b""
        for number, text in sorted(objects.items()):
            at[number] = len(data) + len(out)
            out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
        xref = len(data) + len(out)
        out += b"xref\n"
        for number in sorted(at):
            out += b"%d 1\n%010d 00000 n \n" % (number, at[number])
        out += b"".join(entries)
        size = max([self.size, *(n + 1 for n in at)])
        out += b"trailer\n<</Size %d/Root %d 0 R%s/Prev %d%s>>\nstartxref\n%d\n%%%%EOF\n" % (
            size, root or self.root, self.id, start if prev is None else prev, trailer, xref)
        return data + out

    def catalog_with(self, more, old=b"", new=b""):
        assert old in self.catalog
        return self.catalog.replace(old, new)[:-2] + more + b">>"

    def patched(self, at, new):
        return self.data[:at] + new + self.data[at + len(new):]

    def with_cms(self, change, which=-1):
        start, end = self.holes[which]
        info = cms.ContentInfo.load(bytes.fromhex(self.data[start + 1:end - 1].decode()))
        new = change(info)
        digits = new.hex().upper().encode()
        room = end - start - 2
        assert len(digits) <= room, (len(digits), room)
        return self.patched(start + 1, digits.ljust(room, b"0"))


def stream(data, more=b""):
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (more, len(data), data)


EVIL = stream(b"BT /F1 20 Tf 100 700 Td (Evil) Tj ET")

# ---- USF: what the signature needs is broken, so that a lenient reader skips it ----


def last_range(f):
    return re.search(rb"/ByteRange\[0 [0-9 ]{32}\]", f.data[f.holes[-1][0] - 60:]).start() + \
        f.holes[-1][0] - 60


for _name, _text in {"empty": b"[ ]", "null": b"null", "negative": b"[0 -1 9 9]",
                     "zeros": b"[0 0 0 0]", "name": b"/None", "string": b"(0 1 2 3)"}.items():
    def _make(f, text=_text):
        return f.patched(last_range(f) + 10, text.ljust(36))
    ALL["usf_range_" + _name] = _make


@attack
def usf_no_range(f):
    return f.patched(last_range(f), b"/ByteRamge")


@attack
def usf_contents_emptied(f):
    start, end = f.holes[-1]
    return f.patched(start, b"<>".ljust(end - start))


@attack
def usf_contents_null(f):
    start, end = f.holes[-1]
    return f.patched(start, b"null".ljust(end - start))


@attack
def usf_contents_zeros(f):
    start, end = f.holes[-1]
    return f.patched(start + 1, b"0" * (end - start - 2))


@attack
def usf_value_taken_away(f):
    widget = max(int(n) for n in re.findall(rb"(\d+) 0 R", re.search(
        rb"/Fields\[(.*?)\]", f.catalog).group(1)))
    return f.update({widget: re.sub(rb"/V \d+ 0 R", b"", f.object(widget))})


# ---- ISA: something follows ----

@attack
def isa_content(f):
    return f.update({f.content: EVIL})


@attack
def isa_page(f):
    return f.update({f.page: re.sub(rb"/Contents \d+ 0 R", b"/Contents %d 0 R" % f.size,
                                    f.object(f.page)), f.size: EVIL})


@attack
def isa_without_table(f):
    return f.data + b"%d 0 obj\n%s\nendobj\n%%%%EOF\n" % (f.content, EVIL)


@attack
def isa_only_trailer(f):
    return f.data + b"trailer\n<</Size %d/Root %d 0 R>>\n%%%%EOF\n" % (f.size, f.root)


@attack
def isa_signature_copied(f):
    """The update brings a copy of the signature object, as if it had signed it."""
    number = int(re.findall(rb"/V (\d+) 0 R", f.data)[-1])
    return f.update({f.content: EVIL, number: f.object(number)})


@attack
def appended_byte(f):
    return f.data + b"\n"


@attack
def appended_comment(f):
    return f.data + b"% harmless\n%%EOF\n"


@attack
def appended_empty_revision(f):
    return f.update({})


@attack
def appended_same_object(f):
    return f.update({f.content: f.object(f.content)})


# ---- SWA: the second range is moved, the gap is the attacker's ----

@attack
def swa(f):
    """The signed end moves back; where its startxref points, a table of the attacker's waits."""
    _, end = f.holes[-1]
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size %d/Root %d 0 R%s/Prev %d>>\n"
    evil = b">>\nendobj\n%d 0 obj\n%s\nendobj\n" % (f.content, EVIL)
    first = int(re.search(rb"startxref\n(\d+)\n", f.data).group(1))
    table %= f.content, end + len(b">>\nendobj\n"), f.size, f.root, f.id, first
    # What does not fit between hole and table stands behind it.
    gap = b">>\nendobj\n".ljust(f.start - end)
    gap += table.replace(b"%010d" % (end + 10), b"%010d" % (f.start + len(table))) + evil[10:]
    moved = f.data[:end] + gap + f.data[end:]
    at = last_range(f)
    a, b, c = re.search(rb"0 (\d+) (\d+) (\d+)", f.data[at:at + 60]).groups()
    text = b"[0 %d %d %d" % (int(a), int(b) + len(gap), int(c))
    return moved[:at + 10] + text.ljust(35) + b"]" + moved[at + 46:]


@attack
def range_overlaps(f):
    a, b, c = re.search(rb"0 (\d+) (\d+) (\d+)", f.data[last_range(f):]).groups()
    return f.patched(last_range(f) + 10, (b"[0 %d %d %d" % (
        int(b) - 1, int(a) + 1, len(f.data) - int(a) - 1)).ljust(35) + b"]")


@attack
def range_crosses_the_first(f):
    start, end = f.holes[0]
    return f.patched(last_range(f) + 10, (b"[0 %d %d %d" % (
        start, end, len(f.data) - end)).ljust(35) + b"]")


@attack
def range_beyond_the_end(f):
    a, b, c = re.search(rb"0 (\d+) (\d+) (\d+)", f.data[last_range(f):]).groups()
    return f.patched(last_range(f) + 10, (b"[0 %d %d %d" % (
        int(a), int(b), 10 ** 9)).ljust(35) + b"]")


# ---- shadow: other content is switched on ----

@attack
def shadow_hide(f):
    """The overlay that hid something is taken away."""
    return f.update({f.content: stream(b"")})


@attack
def shadow_replace(f):
    """Another font for the same codes."""
    font = int(re.search(rb"/Font (\d+) 0 R", f.data).group(1))
    return f.update({font: re.sub(rb"\d+ 0 R", b"%d 0 R" % f.size, f.object(font), count=1),
                     f.size: b"<</Type/Font/Subtype/Type1/BaseFont/Symbol>>"})


@attack
def shadow_hide_and_replace(f):
    """The table leads the catalog to other pages."""
    return f.update({f.root: re.sub(rb"/Pages \d+ 0 R", b"/Pages %d 0 R" % f.size, f.catalog),
                     f.size: b"<</Type/Pages/Count 1/Kids[%d 0 R]>>" % (f.size + 1),
                     f.size + 1: b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 9 9]/Contents %d 0 R>>"
                     % (f.size, f.size + 2), f.size + 2: EVIL})


@attack
def shadow_layers(f):
    return f.update({f.root: f.catalog_with(b"/OCProperties<</OCGs[%d 0 R]/D<</OFF[%d 0 R]>>>>" % (
        f.size, f.size)), f.size: b"<</Type/OCG/Name(x)>>"})


@attack
def shadow_seal(f):
    """The appearance of the seal's field."""
    widget = int(re.search(rb"/Fields\[\d+ 0 R (\d+) 0 R\]", f.catalog).group(1))
    return f.update({widget: re.sub(rb"/AP<</N \d+ 0 R>>", b"/AP<</N %d 0 R>>" % f.size,
                                    f.object(widget)),
                     f.size: stream(b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]")})


# ---- certified documents ----

def annotated(f, annotation, more=None, **kw):
    page = f.object(f.page).replace(b"/Annots[", b"/Annots[%d 0 R " % f.size)
    return f.update({f.page: page, f.size: annotation, **(more or {})}, **kw)


for _kind in (b"FreeText", b"Stamp", b"Redact", b"Square", b"Link", b"Widget"):
    def _make(f, kind=_kind):
        return annotated(f, b"<</Type/Annot/Subtype/%s/Rect[0 0 500 500]/Contents(Evil)"
                         b"/F 4/DA(/F1 20 Tf)>>" % kind)
    ALL["evil_annotation_" + _kind.decode().lower()] = _make


def field(f, more, value=None):
    """A signature field more in form and page."""
    v = f.size + 1 if value is None else value
    text = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(more)/F 132/P %d 0 R/V %d 0 R%s>>" % (
        f.page, v, more)
    root = re.sub(rb"/Fields\[([^]]*)\]", rb"/Fields[\1 %d 0 R]" % f.size, f.catalog)
    return text, root


@attack
def sneaky_signature(f):
    signature = f.object(int(re.findall(rb"/V (\d+) 0 R", f.data)[-1]))
    text, root = field(f, b"/Rect[0 0 500 500]/AP<</N %d 0 R>>" % (f.size + 2))
    return annotated(f, text, {f.root: root, f.size + 1: signature, f.size + 2: stream(
        b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 500 500]")})


@attack
def sneaky_empty_field(f):
    text, root = field(f, b"/Rect[0 0 500 500]")
    return annotated(f, text.replace(b"/V %d 0 R" % (f.size + 1), b""), {f.root: root})


# ---- what a result is made of ----

@attack
def stripped_second_signature(f):
    return f.data[:f.ends[0]]


@attack
def cut(f):
    return f.data[:-1]


@attack
def attachment_updated(f):
    number = int(re.search(rb"/EF<</F (\d+) 0 R", f.data).group(1))
    return f.update({number: stream(b'{"schema":"trien-result/1"}', b"/Type/EmbeddedFile")})


@attack
def attachment_patched(f):
    at = f.data.index(b'"ho_ten":"') + 10
    return f.patched(at, b"X")


@attack
def attachment_of_another(f):
    """One more under the same name, by the catalog."""
    return f.update({f.root: re.sub(rb"\(result.json\)\d+ 0 R", b"(result.json)%d 0 R" % f.size,
                                    f.catalog),
                     f.size: b"<</Type/Filespec/F(result.json)/EF<</F %d 0 R>>>>" % (f.size + 1),
                     f.size + 1: stream(b"{}", b"/Type/EmbeddedFile")})


@attack
def another_results_signature(f):
    start, end = f.holes[-1]
    a, b = f.other.holes[-1]
    return f.patched(start + 1, f.other.data[a + 1:b - 1][:end - start - 2].ljust(
        end - start - 2, b"0"))


# ---- CMS ----

def signed(info):
    return info["content"]


@attack
def cms_certificate_swapped(f):
    """Another signer's, whose key made nothing of this."""
    theirs = cms.ContentInfo.load(bytes.fromhex(
        f.data[f.holes[0][0] + 1:f.holes[0][1] - 1].decode()))

    def change(info):
        leaf = [c for c in signed(theirs)["certificates"]
                if c.chosen.serial_number == signed(theirs)["signer_infos"][0]["sid"]
                .chosen["serial_number"].native]
        signed(info)["certificates"] = leaf
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_chain_left_out(f):
    def change(info):
        sid = signed(info)["signer_infos"][0]["sid"].chosen["serial_number"].native
        signed(info)["certificates"] = [c for c in signed(info)["certificates"]
                                        if c.chosen.serial_number == sid]
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_two_signer_infos(f):
    def change(info):
        sid = signed(info)["signer_infos"][0]["sid"].chosen["serial_number"].native
        signed(info)["certificates"] = [c for c in signed(info)["certificates"]
                                        if c.chosen.serial_number == sid]
        one = signed(info)["signer_infos"][0]
        signed(info)["signer_infos"] = [one, one.copy()]
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_no_signer_info(f):
    def change(info):
        signed(info)["signer_infos"] = []
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_unsigned_attribute(f):
    def change(info):
        sid = signed(info)["signer_infos"][0]["sid"].chosen["serial_number"].native
        signed(info)["certificates"] = [c for c in signed(info)["certificates"]
                                        if c.chosen.serial_number == sid]
        signed(info)["signer_infos"][0]["unsigned_attrs"] = [cms.CMSAttribute({
            "type": "1.2.3.4", "values": [core.OctetString(b"x")]})]
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_signed_attributes_left_out(f):
    def change(info):
        del signed(info)["signer_infos"][0]["signed_attrs"]
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_digest_downgraded(f):
    def change(info):
        signed(info)["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha1"}
        signed(info)["digest_algorithms"] = [{"algorithm": "sha1"}]
        return info.dump(force=True)
    return f.with_cms(change)


@attack
def cms_indefinite_length(f):
    start, end = f.holes[-1]
    body = f.data[start + 1:end - 1]
    der = bytes.fromhex(body.decode())
    n = 4 + int.from_bytes(der[2:4], "big")
    assert der[:2] == b"\x30\x82"
    return f.patched(start + 1, (b"\x30\x80" + der[4:n] + b"\0\0" + der[n:]).hex().upper().encode())


@attack
def cms_version(f):
    start = f.holes[-1][0]
    at = f.data.index(b"020101", start)
    return f.patched(at, b"020103")


@attack
def hex_in_lower_case(f):
    start, end = f.holes[-1]
    return f.patched(start, f.data[start:end].lower())


@attack
def hex_one_digit_in_lower_case(f):
    at = re.compile(rb"[A-F]").search(f.data, f.holes[-1][0] + 200).start()
    return f.patched(at, f.data[at:at + 1].lower())


@attack
def hex_spaced(f):
    start, end = f.holes[-1]
    return f.patched(end - 3, b" >") if f.data[end - 3:end - 1] == b"00" else \
        f.patched(end - 2, b" ")


@attack
def padding_used(f):
    """A P-256 signature may fill its room: then it is the value's last digit."""
    at = f.holes[-1][1] - 2
    return f.patched(at, b"2" if f.data[at:at + 1] == b"1" else b"1")


# ---- cross-references ----

@attack
def table_leads_elsewhere(f):
    """The page's content is from now on what is the attached data's stream."""
    at = f.data.index(b"%d 0 obj\n" % (f.content + 1))
    return f.update({}, entries=[b"%d 1\n%010d 00000 n \n" % (f.content, at)])


@attack
def table_frees_an_object(f):
    return f.update({}, entries=[b"%d 1\n%010d 00001 f \n" % (f.content, 0)])


@attack
def table_of_another_generation(f):
    return f.update({}, entries=[b"%d 1\n%010d 00001 n \n" % (f.content, f.start)])


@attack
def object_twice_in_a_revision(f):
    at, number = len(f.data), f.content
    first = b"%d 0 obj\n%s\nendobj\n" % (number, f.object(number))
    both = first + b"%d 0 obj\n%s\nendobj\n" % (number, EVIL)
    table = b"".join(b"%d 1\n%010d 00000 n \n" % (number, n) for n in (at, at + len(first)))
    return f.data + both + b"xref\n" + table + b"trailer\n<</Size %d/Root %d 0 R%s/Prev %d>>\n" \
        b"startxref\n%d\n%%%%EOF\n" % (f.size, f.root, f.id, f.start, at + len(both))


@attack
def prev_is_itself(f):
    at = len(f.data) + len(b"%d 0 obj\nnull\nendobj\n" % f.size)
    return f.update({f.size: b"null"}, prev=at)


@attack
def prev_skips_a_revision(f):
    first = int(re.search(rb"startxref\n(\d+)\n", f.data).group(1))
    return f.update({f.size: b"null"}, prev=first)


@attack
def prev_is_nowhere(f):
    return f.update({f.size: b"null"}, prev=10 ** 8)


@attack
def hybrid(f):
    return f.update({f.size: b"null"}, trailer=b"/XRefStm 100")


@attack
def encrypted(f):
    return f.update({f.size: b"null"}, trailer=b"/Encrypt<<>>")


@attack
def other_root(f):
    return f.update({f.size: f.catalog}, root=f.size)


@attack
def info_in_the_trailer(f):
    return f.update({f.size: b"<</Title(Evil)>>"}, trailer=b"/Info %d 0 R" % f.size)


@attack
def junk_in_front(f):
    return b"\n" + f.data


@attack
def two_headers(f):
    return b"%PDF-1.7\n" + f.data


@attack
def start_of_the_first_revision(f):
    first = re.search(rb"startxref\n\d+\n%%EOF\n", f.data).group(0)
    return f.data + first


# ---- as if it were evidence ----

def evidence(f, catalog, more=None, certificate=None):
    """A revision with a document security store of one certificate."""
    if certificate is None:
        info = cms.ContentInfo.load(bytes.fromhex(
            f.data[f.holes[-1][0] + 1:f.holes[-1][1] - 1].decode()))
        certificate = signed(info)["certificates"][0].chosen.dump()
    return f.update({f.root: catalog, f.size: b"<</Certs[%d 0 R]>>" % (f.size + 1),
                     f.size + 1: stream(certificate), **(more or {})})


def plain(f):
    """Nothing but the store: this one is good."""
    return evidence(f, f.catalog_with(b"/DSS %d 0 R" % f.size))


def dss(f, **kw):
    return f.catalog_with(b"/DSS %d 0 R" % f.size, **kw)


@attack
def dss_with_other_pages(f):
    old = re.search(rb"/Pages \d+ 0 R", f.catalog).group(0)
    return evidence(f, dss(f, old=old, new=b"/Pages %d 0 R" % (f.size + 2)), {
        f.size + 2: b"<</Type/Pages/Count 0/Kids[]>>"})


@attack
def dss_with_changed_content(f):
    return evidence(f, dss(f), {f.content: EVIL})


@attack
def dss_with_one_object_more(f):
    return evidence(f, dss(f), {f.size + 2: EVIL})


@attack
def dss_with_an_annotation(f):
    page = f.object(f.page).replace(b"/Annots[", b"/Annots[%d 0 R " % (f.size + 2))
    return evidence(f, dss(f), {f.page: page, f.size + 2:
                                b"<</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]>>"})


@attack
def dss_of_no_certificate(f):
    return evidence(f, dss(f), certificate=b"0 0 9 9 re f")


@attack
def dss_of_a_certificate_and_more(f):
    good = evidence(f, dss(f))
    at = good.rindex(b"stream\n\x30\x82") + 7
    end = good.index(b"\nendstream", at)
    return evidence(f, dss(f), certificate=good[at:end] + b" 0 0 9 9 re f")


@attack
def dss_over_the_page(f):
    """The certificate takes the place of the page's content."""
    good = evidence(f, dss(f))
    at = good.rindex(b"stream\n\x30\x82") + 7
    cert = good[at:good.index(b"\nendstream", at)]
    return f.update({f.root: dss(f), f.size: b"<</Certs[%d 0 R]>>" % f.content,
                     f.content: stream(cert)})


@attack
def dss_with_unknown_key(f):
    return f.update({f.root: dss(f), f.size: b"<</Certs[]/Pages %d 0 R>>" % (f.size + 1),
                     f.size + 1: EVIL})


for _name, _more in {"open_action": b"/OpenAction<</S/JavaScript/JS(x)>>",
                     "actions": b"/AA<</WC<</S/JavaScript/JS(x)>>>>",
                     "version": b"/Version/2.0", "layout": b"/PageLayout/TwoPageLeft",
                     "extension_of_its_own": b"/Extensions<</X<</Y 1>>>>",
                     "structure": b"/StructTreeRoot<</ActualText(Evil)>>"}.items():
    def _make(f, more=_more):
        return evidence(f, f.catalog_with(b"/DSS %d 0 R" % f.size + more))
    ALL["dss_with_" + _name] = _make


@attack
def dss_with_other_metadata(f):
    number = int(re.search(rb"/Metadata (\d+) 0 R", f.catalog).group(1))
    return evidence(f, dss(f), {number: stream(b"<x/>", b"/Type/Metadata/Subtype/XML")})


@attack
def dss_with_form_flags(f):
    return evidence(f, dss(f, old=b"/SigFlags 3", new=b"/SigFlags 3/NeedAppearances true"))


@attack
def dss_without_a_field(f):
    old = re.search(rb"/Fields\[(\d+ 0 R) \d+ 0 R\]", f.catalog)
    return evidence(f, dss(f, old=old.group(0), new=b"/Fields[%s]" % old.group(1)))


# ---- time stamps, on a file that pyHanko stamped ----

STAMPED = {}


def on_stamp(make):
    STAMPED[make.__name__] = make
    return make


@on_stamp
def stamp_with_area(good):
    return good.replace(b"/Rect [ 0 0 0 0 ]", b"/Rect [ 0 0 9 9 ]")


@on_stamp
def stamp_named_otherwise(good):
    return good.replace(b"/SubFilter /ETSI.RFC3161", b"/SubFilter /ETSI.RFC3162")


@on_stamp
def stamp_cut(good):
    return good[:good.rindex(b"endobj")]


@on_stamp
def stamp_token_changed(good):
    at = good.rindex(b"/Contents <") + len(b"/Contents <") + 60
    return good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]


@on_stamp
def stamp_padding_used(good):
    at = good.index(b">", good.rindex(b"/Contents <"))
    return good[:at - 1] + b"1" + good[at:]


@on_stamp
def stamp_of_changed_field(good):
    return good.replace(b"/TU (Timestamp)", b"/TU (Timestanp)")


@on_stamp
def stamp_followed(good):
    return good + b"\n"
