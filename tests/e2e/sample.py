"""Cases made by hand: one marital-status certificate, with whatever a test wants otherwise."""
import itertools
import json

from harness import UNITS, as_case, generated, modules

KIND = "xac-nhan-tinh-trang-hon-nhan"
SIGNER = {UNITS[0]: "lac-xuan-nguyen-thi-hoai-thu", UNITS[1]: "suoi-may-do-quang-vinh"}
_codes = itertools.count(1)


def case(code=None, unit=UNITS[0], name="Trần Thị Bích Ngọc", number="001099000001", **changes):
    m = modules()["case"]
    c = m.Case(code=code or f"H99.11-261124-{next(_codes):06d}")
    c.holders.add(id_kind=m.Holder.CITIZEN, number=number, name=name, role=m.Holder.OWNER)
    r = c.results.add(unit=unit, kind=KIND, signer=SIGNER[unit])
    values = {
        "nguoi_yeu_cau": name, "ho_ten": name, "ngay_sinh": (1990, 3, 5), "gioi_tinh": "Nữ",
        "dan_toc": "Kinh", "quoc_tich": "Việt Nam",
        "giay_to": "Căn cước công dân số 001099000001",
        "noi_cu_tru": "Số 7, đường Hoa Ban, phường Lạc Xuân",
        "tinh_trang": "Chưa đăng ký kết hôn với ai", "muc_dich": "Làm thủ tục kết hôn", **changes,
    }
    for key, value in values.items():
        if value is None:
            continue
        f = r.fields.add(name=key)
        if isinstance(value, bool):
            f.flag = value
        elif isinstance(value, tuple):
            f.date.CopyFrom(m.Date(year=value[0], month=value[1], day=value[2]))
        elif isinstance(value, int):
            f.number.value = value
        else:
            f.text = value
    return c


def over(number):
    """A permit of one citizen whose last day was years ago."""
    c = next(c for c in map(as_case, generated(400, seed=7))
             if any(f.name == "den_ngay" for r in c.results for f in r.fields))
    last = next(f for r in c.results for f in r.fields if f.name == "den_ngay")
    last.date.year -= 3
    del c.holders[1:], c.results[1:]
    c.code, c.holders[0].id_kind = f"H99.11-261124-{next(_codes):06d}", 1
    c.holders[0].country, c.holders[0].number = "VN", number
    return c


def takes_over(schemas, new, old):
    """One agency succeeds the other."""
    path = schemas / "agencies" / f"{old}.json"
    agency = json.loads(path.read_text())
    agency["versions"][-1]["successor"] = new
    path.write_text(json.dumps(agency, ensure_ascii=False))


def batch(cases, **kw):
    return modules()["issuance"].SubmitBatchRequest(cases=cases, **kw)


def send(stubs, cases, timeout=20, **kw):
    return stubs.issuance.SubmitBatch(batch(cases, **kw), timeout=timeout)
