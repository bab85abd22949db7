"""The remote signer by itself: the child behind its socket, against a stand-in service that answers
late, wrongly, partly, twice or not at all."""

import os
import time

import pytest

import remote_service
from remote_child import RemoteService, RemoteSigner, digest, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("remote") / "keys")


@pytest.fixture
def service(tmp_path, keys):
    s = RemoteService(keys, tmp_path / "service")
    yield s
    s.kill()


@pytest.fixture
def child(tmp_path, keys):
    c = RemoteSigner(tmp_path / "data", keys)
    yield c
    c.kill()


FORMS = {
    "csc": lambda c, s, **more: c.csc("one", s, **more),
    "csc_async": lambda c, s, **more: c.csc("one", s, mode="asynchronous", **more),
    "array": lambda c, s, **more: c.array("one", s, **more),
    "array_later": lambda c, s, **more: c.later("one", s, **more),
}


def to(form, key):
    return {"service": "one", "credential": f"CRED/{key}"} if form == "array_later" else "one"


def begin(child, service, form, key="rsa", **more):
    child.configure([FORMS[form](child, service, **more)], {key: to(form, key)})
    child.start()


@pytest.mark.parametrize("key", ["rsa", "p256"])
@pytest.mark.parametrize("form", FORMS)
def test_a_thousand_are_signed_in_arrays(child, service, form, key):
    begin(child, service, form, key)
    tags = range(1, 1001)
    for t in tags:
        child.sign(t, key)
    assert child.all_signed(tags, key)
    told = service.control()
    assert max(told["asked"].values()) == 1 and len(told["asked"]) == 1000
    assert max(told["sizes"]) == 200 and len(told["sizes"]) <= 7, told["sizes"]
    assert told["most"] <= 4
    assert child.stop() == 0
