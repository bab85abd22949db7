"""Cases that wait for their signer, and the sessions that confirm them."""
import hashlib
import json
import shutil
import struct
import subprocess
import unicodedata

import grpc
import pytest

import harness
from sample import KIND, SIGNER, UNITS, case, send

AWAITING, NUMBERED, HELD, STORED, REFUSED, WITHDRAWN, VOID = 2, 3, 5, 6, 7, 8, 10
OPEN, CONFIRMING, CONFIRMED, DONE, CANCELLED, EXPIRED = range(1, 7)
SIGNS = SIGNER[UNITS[0]]


def office_schemas(folder, own_draft=True, kinds=(KIND,)):
    """The shipped kinds, of which some wait for approval."""
    shutil.copytree(harness.ROOT / "schemas", folder)
    for kind in kinds:
        path = folder / "results" / f"{kind}.json"
        doc = json.loads(path.read_text())
        for version in doc["versions"]:
            version["numbered"] = "at_approval"
            version["approval"] = {"own_draft": own_draft}
        path.write_text(json.dumps(doc, ensure_ascii=False))
    return folder


class Signer:
    """What an officer's tool does."""

    def __init__(self, engine, channel=None, signer=SIGNS):
        self.engine, self.signer = engine, signer
        self.m = harness.modules()["signing"]
        self.stub = engine.stubs(channel).signing

    def page(self, **kw):
        return self.stub.ListWaiting(self.m.ListWaitingRequest(signer=self.signer, **kw),
                                     timeout=20)

    def waiting(self, page_size=200, **kw):
        rows, token = [], ""
        while True:
            page = self.page(page_size=page_size, page_token=token, **kw)
            rows += page.waiting
            token = page.next_page_token
            if not token:
                return rows

    def open(self, ids, **kw):
        return self.stub.OpenSession(self.m.OpenSessionRequest(
            signer=self.signer, result_ids=ids, **kw), timeout=60)

    def get(self, session):
        return self.stub.GetSession(self.m.GetSessionRequest(session_id=session.session_id),
                                    timeout=20)

    def manifest(self, session):
        return self.stub.GetManifest(self.m.GetManifestRequest(session_id=session.session_id),
                                     timeout=20)

    def confirm(self, session, sha256=None, timeout=60):
        return self.stub.ConfirmSession(self.m.ConfirmSessionRequest(
            session_id=session.session_id,
            manifest_sha256=session.manifest_sha256 if sha256 is None else sha256),
            timeout=timeout)

    def cancel(self, session):
        return self.stub.CancelSession(self.m.CancelSessionRequest(session_id=session.session_id),
                                       timeout=20)

    def refuse(self, rid, reason):
        return self.stub.RefuseWaiting(self.m.RefuseWaitingRequest(result_id=rid, reason=reason),
                                       timeout=20)

    def watch(self, session, cursor=0, timeout=60):
        return self.stub.WatchSession(self.m.WatchSessionRequest(
            session_id=session.session_id, cursor=cursor), timeout=timeout)

    def outcomes(self, session, cursor=0):
        """The last word on each document."""
        last, at = {}, cursor
        for o in self.watch(session, cursor):
            assert o.cursor > at, "cursors rise"
            at = o.cursor
            last[o.result_id] = o
        return last

    def preview(self, rid):
        parts = list(self.stub.PreviewWaiting(self.m.PreviewWaitingRequest(result_id=rid),
                                              timeout=20))
        pdf = b"".join(p.chunk for p in parts)
        assert len(pdf) == parts[0].file_size
        assert hashlib.sha256(pdf).digest() == parts[0].file_sha256
        return pdf, parts[0]


def submit(engine, cases, stubs=None):
    """They wait, and are listed."""
    answer = send(stubs or engine.stubs(), cases)
    assert not answer.rejects, answer.rejects
    ids = [r.result_id for r in answer.receipts]
    assert all(r.state == AWAITING and r.number == 0 for r in answer.receipts)
    repository = harness.modules()["repository"]
    seen = engine.stubs().repository

    def listed():
        got = seen.BatchGetResults(repository.BatchGetResultsRequest(result_ids=ids), timeout=20)
        return all(r.state == AWAITING for r in got.results) and \
            {w.result_id for s in {r.signer or SIGNS for c in cases for r in c.results}
             for w in Signer(engine, signer=s).waiting()} >= set(ids)

    harness.wait_for(listed)
    return ids


def pdf_text(pdf, folder):
    (folder / "a.pdf").write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", folder / "a.pdf", "-"], capture_output=True,
                          text=True, check=True, timeout=30)
    return unicodedata.normalize("NFC", done.stdout)


def canonical(session, signer, items):
    """The manifest's bytes as signing.proto says, made by somebody else."""
    text = lambda s: struct.pack(">H", len(s.encode())) + s.encode()
    out = text("trien manifest 1") + crockford(session) + text(signer) + \
        struct.pack(">I", len(items))
    for i in items:
        out += crockford(i.result_id) + i.case_sha256 + i.preview_sha256 + text(i.unit) + \
            text(i.kind)
    return out


def crockford(text):
    """The 16 bytes of a name of 26 characters."""
    n = 0
    for c in text:
        n = n << 5 | "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(c)
    return n.to_bytes(16, "big")


def refused(call, reason):
    with pytest.raises(grpc.RpcError) as e:
        call()
    d = harness.details(e.value)
    assert d["reason"] == reason, (d, e.value.details())
    return d
