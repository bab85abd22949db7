"""The remote signer by itself: the child behind its socket, against a stand-in service that answers
late, wrongly, partly, twice or not at all."""

import os
import time

import pytest

import harness
import remote_service
from remote_child import RemoteService, RemoteSigner, digest, verifies


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


# ---- answers that are none ----

SPOILED = ["401", "429", "500", "503", "403", "close", "garbage", "cut"]


@pytest.mark.parametrize("fault", SPOILED)
@pytest.mark.parametrize("form", ["csc", "array"])
def test_what_is_not_answered_is_asked_again(child, service, form, fault):
    begin(child, service, form)
    service.control(next=[fault] * 2)
    for t in range(1, 31):
        child.sign(t)
    assert child.all_signed(range(1, 31))


@pytest.mark.parametrize("fault", ["wrong", "foreign", "reordered"])
@pytest.mark.parametrize("form", ["csc", "csc_async", "array", "array_later"])
def test_a_wrong_array_is_asked_again_one_by_one(child, service, form, fault):
    begin(child, service, form)
    service.control(next=[fault])
    for t in range(1, 11):
        child.sign(t)
    assert child.all_signed(range(1, 11))
    sizes = service.control()["sizes"]
    # Matched by an id, a reordered list is no wrong one; each of its signatures is then foreign.
    assert sizes[0] == 10 and sizes[1:] == [1] * 10, sizes
    assert "ALARM" in child.log()


@pytest.mark.parametrize("form", ["csc", "array"])
@pytest.mark.parametrize("fault, wrong", [("truncated", 5), ("partly", 5), ("twice", 0)])
def test_what_an_answer_lacks_is_asked_again(child, service, form, fault, wrong):
    begin(child, service, form)
    service.control(next=[fault])
    for t in range(1, 11):
        child.sign(t)
    assert child.all_signed(range(1, 11))
    assert service.control()["sizes"] == [10] + [1] * wrong


@pytest.mark.parametrize("form", FORMS)
def test_always_wrong_is_an_end_for_that_item_only(child, service, form):
    begin(child, service, form)
    service.control(always="swap", victim=digest(3).hex())
    for t in range(1, 9):
        child.sign(t)
    states = child.finals(range(1, 9))
    assert states.pop(3) == "WRONG_ANSWER" and set(states.values()) == {"SIGNED"}, states
    assert service.control()["asked"][digest(3).hex()] == 3
    assert child.log().count("ALARM") == 3


def test_a_refused_array_is_tried_one_by_one(child, service):
    begin(child, service, "array")
    service.control(next=["400"])
    for t in range(1, 6):
        child.sign(t)
    assert child.all_signed(range(1, 6))
    service.control(always="400")
    child.sign(10)
    assert child.finals([10]) == {10: "REFUSED"}


def test_no_answer_at_all_has_an_end(child, service):
    begin(child, service, "array", timeout_ms=300, tries=3)
    service.control(always="hang")
    child.sign(1)
    assert child.finals([1]) == {1: "UNAVAILABLE"}
    assert service.control()["asked"][digest(1).hex()] == 3


def test_a_slow_answer_is_waited_for(child, service):
    """3.25 s of a time-out of 4.5 s: as much of it as 130 s of 180 s."""
    begin(child, service, "csc", timeout_ms=4500)
    service.control(slow_s=3.25)
    for t in range(1, 201):
        child.sign(t)
    assert child.all_signed(range(1, 201))
    assert max(service.control()["asked"].values()) == 1


def test_a_service_that_hangs_does_not_slow_another(child, service, tmp_path, keys):
    other = RemoteService(keys, tmp_path / "other")
    try:
        child.configure([child.csc("slow", service, timeout_ms=60000), child.array("well", other)],
                        {"rsa": "slow", "p256": "well"})
        child.start()
        service.control(always="hang")
        for t in range(1, 101):
            child.sign(t)
        begun = time.monotonic()
        for t in range(1001, 1101):
            child.sign(t, "p256")
        assert child.all_signed(range(1001, 1101), "p256")
        assert time.monotonic() - begun < 10
        assert not any(child.final(t) for t in range(1, 101))
    finally:
        other.kill()


def test_an_outage_holds_items_and_loses_none(child, service):
    begin(child, service, "csc")
    service.kill()
    for t in range(1, 501):
        child.sign(t)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert child.read(0.2)
    assert not any(child.final(t) for t in range(1, 501))
    assert child.log().count("is not reached") < 10
    service.start()
    assert child.all_signed(range(1, 501))
    assert max(service.control()["asked"].values()) == 1


def test_patience_has_an_end(child, service):
    begin(child, service, "csc", patience_ms=1000)
    service.kill()
    child.sign(1)
    assert child.finals([1]) == {1: "UNAVAILABLE"}
    service.start()


def test_more_than_the_queue_holds_is_given_back(child, service):
    begin(child, service, "array", queue_max=50)
    service.kill()
    for t in range(1, 61):
        child.sign(t)
    assert set(child.finals(range(51, 61)).values()) == {"UNAVAILABLE"}
    service.start()
    assert child.all_signed(range(1, 51))


# ---- which key, until when ----

def test_another_certificate_signs_nothing(child, service):
    child.configure([child.csc("one", service)],
                    {"rsa": {"service": "one", "credential": "CRED/rsa2"}, "p256": "one",
                     "rsa2": {"service": "one", "credential": "CRED/none"}})
    child.start()
    for t, key in ((1, "rsa"), (2, "p256"), (3, "rsa2")):
        child.sign(t, key)
    assert child.finals([1, 2, 3]) == {1: "OTHER_CERTIFICATE", 2: "SIGNED", 3: "OTHER_CERTIFICATE"}
    assert digest(1).hex() not in service.control()["asked"]


@pytest.mark.parametrize("form", ["csc", "csc_async"])
@pytest.mark.parametrize("mode, status", [("explicit", "SIGNED"), ("implicit", "SIGNED"),
                                          ("oauth2code", "OTHER_CERTIFICATE")])
def test_a_credential_that_a_browser_must_authorize_is_none(child, service, form, mode, status):
    """What the service asks its person for by itself is; a page that he logs in at is not."""
    service.control(auth=mode)
    begin(child, service, form)
    for t in range(1, 6):
        child.sign(t)
    assert set(child.finals(range(1, 6)).values()) == {status}, child.summary()
    told = service.control()
    if status == "SIGNED":
        assert child.all_signed(range(1, 6))
        assert set(told["asked"].values()) == {1} and len(told["asked"]) == 5
    else:
        assert told["asked"] == {} and "authorize" not in told["calls"]


def test_credentials_are_listed_by_their_owner(child, service):
    service.control(user="079123456789")
    child.configure([child.csc("one", service)],
                    {"rsa": {"service": "one", "user_id": "079123456789"}, "p256": "one"})
    child.start()
    child.sign(1)
    child.sign(2, "p256")
    assert child.finals([1, 2]) == {1: "SIGNED", 2: "OTHER_CERTIFICATE"}
    assert "079123456789" not in child.log() + " ".join(service.control()["paths"])


@pytest.mark.parametrize("said", [[400, "invalid_authentication_data"], [400, "invalid_pin"],
                                  [401, "invalid_otp"]])
def test_a_pin_that_is_refused_is_sent_once(child, service, said):
    """Each time more brings the officer's credential nearer to being locked."""
    service.control(pin=said)
    child.secret("pin", "135790")
    begin(child, service, "csc")
    for t in range(1, 1001):
        child.sign(t)
    assert set(child.finals(range(1, 1001)).values()) == {"PIN_REFUSED"}, child.summary()
    child.sign(2000)
    assert child.finals([2000]) == {2000: "PIN_REFUSED"}
    assert service.control()["calls"]["authorize"] == 1
    assert child.log().count("ALARM") == 1
    # The settings are read again: by the next process.
    child.stop()
    child.secret("pin", remote_service.PIN)
    child.start()
    child.sign(1)
    assert child.all_signed([1])


def test_a_key_has_a_pin_of_its_own(child, service):
    service.control(pins={"p256": "864200"})
    child.secret("own.pin", "864200")
    own = [{"id": "PIN", "value": {"$secret": "own.pin"}}]

    def configure(key):
        child.configure([child.csc("one", service, auth_data_of={key: own})],
                        {"rsa": "one", "p256": "one"})

    configure("key.p256")
    child.start()
    child.sign(1)
    child.sign(2, "p256")
    assert child.all_signed([1]) and child.all_signed([2], "p256")
    assert "864200" not in child.log()
    child.stop()
    configure("key.p265")
    assert "'key.p265' is no key of this service" in child.start(ready=False)


def test_policy_is_enforced_here_too(child, service):
    begin(child, service, "array")
    child.sign(1, unit="ubnd-khac")
    child.sign(2, "p256")
    child.sign(3, deadline_ms=1)
    assert child.finals([1, 2, 3]) == {1: "POLICY", 2: "UNKNOWN_KEY", 3: "EXPIRED"}
    assert service.control()["asked"] == {}


@pytest.mark.parametrize("form", ["array", "csc"])
def test_cancelled_is_answered_once(child, service, form):
    begin(child, service, form)
    service.control(mute=True)
    for t in range(1, 11):
        child.sign(t)
    harness.wait_for(lambda: service.control()["sizes"])
    child.cancel(4)
    child.cancel(77)
    child.finals([4])
    service.control(mute=False)
    states = child.finals(range(1, 11))
    assert states.pop(4) == "CANCELLED" and set(states.values()) == {"SIGNED"}
    assert set(service.control()["asked"].values()) == {1}, "the others keep their places"
    child.sign(4)
    child.until(lambda: len(child.answers[4]) == 2)
    assert child.answers[4][1][0] == "SIGNED"


def test_a_breach_of_the_protocol_ends_the_child(child, service):
    begin(child, service, "array")
    service.control(slow_s=1)
    child.sign(1)
    child.sign(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 76
    child.pid = None


# ---- what comes later ----

@pytest.mark.parametrize("form", ["csc_async", "array_later"])
def test_tickets_survive_child_and_service(child, service, form):
    begin(child, service, form)
    service.control(pending=True)
    tags = range(1, 41)
    for t in tags:
        child.sign(t)
    child.until(lambda: all(child.ticket(t) for t in tags))
    tickets = {t: child.ticket(t) for t in tags}
    assert not any(child.final(t) for t in tags)
    child.kill()
    service.kill()
    service.start()
    child.start()
    for t in tags:
        child.sign(t + 1000, digest_of=digest(t), ticket=tickets[t])
    states = child.finals([t + 1000 for t in tags])
    assert set(states.values()) == {"SIGNED"}, child.summary()
    told = service.control()
    assert told["asked"] == {}, "the restarted service was asked to sign again"
    assert told["calls"].get("signPolling", told["calls"].get("status")) == 1


def test_a_confirmation_is_asked_for_once(child, service):
    """The person confirms while the child is dead; the signatures are then made without asking."""
    begin(child, service, "csc_async")
    service.control(confirm=True, pending=True)
    tags = range(1, 21)
    for t in tags:
        child.sign(t)
    child.until(lambda: all(child.ticket(t) for t in tags))
    tickets = {t: child.ticket(t) for t in tags}
    child.kill()
    service.control(pending=False)
    child.start()
    for t in tags:
        child.sign(t, ticket=tickets[t])
    assert child.all_signed(tags)
    asked = service.control()["asked"]
    assert {n for what, n in asked.items() if what.startswith("confirm")} == {1}
    assert service.control()["calls"]["authorize"] == 1
    # A newer ticket came when the transaction went on.
    assert all(child.ticket(t) not in (None, tickets[t]) for t in tags)


def test_a_person_has_one_question_at_a_time(child, service):
    begin(child, service, "csc", hashes_max=5)
    service.control(confirm=True, pending=True)
    for t in range(1, 16):
        child.sign(t)
    harness.wait_for(lambda: service.control()["calls"].get("authorizeCheck", 0) >= 5)
    assert service.control()["calls"]["authorize"] == 1
    service.control(pending=False)
    assert child.all_signed(range(1, 16))
    assert service.control()["calls"]["authorize"] == 3


def test_part_of_a_transaction_is_enough(child, service):
    begin(child, service, "csc_async")
    service.control(confirm=True, pending=True)
    for t in range(1, 21):
        child.sign(t)
    child.until(lambda: all(child.ticket(t) for t in range(1, 21)))
    tickets = {t: child.ticket(t) for t in range(1, 21)}
    child.kill()
    service.control(pending=False)
    child.start()
    for t in range(1, 21, 3):
        child.sign(t, ticket=tickets[t])
    assert child.all_signed(range(1, 21, 3))
    assert service.control()["calls"]["authorize"] == 1


@pytest.mark.parametrize("form", ["csc_async", "array_later"])
def test_a_person_may_say_no(child, service, form):
    begin(child, service, form)
    service.control(confirm=True, pending=True)
    child.sign(1)
    child.until(lambda: child.ticket(1))
    service.control(refused=True)
    assert child.finals([1]) == {1: "REFUSED"}


@pytest.mark.parametrize("form", ["csc_async", "array_later"])
def test_a_transaction_that_the_service_lost_is_told(child, service, form):
    begin(child, service, form)
    service.control(pending=True)
    child.sign(1)
    child.until(lambda: child.ticket(1))
    service.kill()
    (service.folder / "state.json").unlink()
    service.start()
    assert child.finals([1]) == {1: "TICKET_LOST"}
    child.sign(2, ticket=b"nothing of ours")
    assert child.finals([2]) == {2: "TICKET_LOST"}
    child.sign(3)
    assert child.all_signed([3])


@pytest.mark.parametrize("form", FORMS)
def test_kill_loop(child, service, form):
    """The child is killed again and again; each item is signed once in the end, with what came."""
    begin(child, service, form)
    done, tickets, tags = {}, {}, range(1, 301)
    for round_no in range(12):
        service.control(slow_s=0.05 if round_no < 10 else 0)
        for t in tags:
            if t not in done:
                child.sign(t, ticket=tickets.get(t, b""))
        end = time.monotonic() + 0.05 + 0.04 * round_no
        while time.monotonic() < end:
            assert child.read(0.01)
        if round_no == 11:
            child.finals(t for t in tags if t not in done)
        for t in tags:
            tickets[t] = child.ticket(t) or tickets.get(t, b"")
            if t not in done and child.final(t):
                assert child.final(t)[0] in ("SIGNED", "TICKET_LOST"), child.final(t)
                if child.final(t)[0] == "SIGNED":
                    done[t] = child.final(t)[1]
                else:
                    tickets[t] = b""
        child.kill()
        child.start()
    assert len(done) == 300
    assert all(verifies(child.keys, "rsa", digest(t), done[t]) for t in tags)


# ---- what must not be seen, and what must not be possible ----

def test_logs_and_addresses_hold_nothing_personal(child, service):
    person = "079123456789"
    for form in FORMS:
        child.configure([FORMS[form](child, service)],
                        {"rsa": {"service": "one", "credential": f"{person}/rsa"}})
        child.start()
        service.control(next=["500", "refuse", "400", "wrong"])
        for t in range(1, 9):
            child.sign(t, name="8812/GXN-THU")
        child.finals(range(1, 9))
        child.stop()
    seen = child.log() + " ".join(service.control()["paths"])
    for secret in (person, "8812", "Nguyễn", remote_service.SECRET, remote_service.PIN):
        assert secret not in seen
    assert "Bearer" not in seen


def test_it_can_open_no_file_and_start_no_program(child, service):
    begin(child, service, "csc")
    with open(f"/proc/{child.pid}/status") as f:
        status = dict(line.split(":", 1) for line in f if ":" in line)
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    opened = [os.readlink(f"/proc/{child.pid}/fd/{fd}") for fd in
              os.listdir(f"/proc/{child.pid}/fd")]
    assert not [p for p in opened if str(child.data) in p and not p.endswith("/log")], opened


def test_a_service_with_another_certificate_is_not_spoken_to(child, service, keys):
    child.configure([child.csc("one", service, ca="rsa.pem", patience_ms=1000)], {"rsa": "one"})
    child.start()
    child.sign(1)
    assert child.finals([1]) == {1: "UNAVAILABLE"}
    assert service.control()["calls"] == {}


def test_what_is_configured_wrongly_stops_the_start(child, service):
    good = child.array("one", service)
    (child.secrets / "service.secret").chmod(0o644)
    child.configure([good], {"rsa": "one"})
    assert "chmod 600" in child.start(ready=False)
    child.secret("service.secret", remote_service.SECRET)
    child.configure([good], {"rsa": "two"})
    assert "no service 'two'" in child.start(ready=False)


@pytest.mark.alone
@pytest.mark.parametrize("form", ["csc", "array"])
def test_a_thousand_cost_the_services_time_and_little_more(child, service, form):
    """2 s an array: 5 arrays of 200, four at a time, take the service 4 s."""
    begin(child, service, form)
    child.sign(5000)
    assert child.all_signed([5000])
    service.control(slow_s=2)
    begun = time.monotonic()
    for t in range(1, 1001):
        child.sign(t)
    child.finals(range(1, 1001))
    took = time.monotonic() - begun
    print(f"{form}: {took:.2f} s")
    assert took < 4 + 2
    assert child.all_signed(range(1, 1001))
