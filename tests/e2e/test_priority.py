"""With a mountain of bulk cases queued, the one at the counter is done within a second."""
import time

import harness
from sample import batch, case, send

BULK = 100_000


def test_interactive_overtakes_bulk(tmp_path):
    engine = harness.Engine(tmp_path, journal_slots="16", journal_segment_mb="64")
    engine.prepare().start()
    try:
        m = harness.modules()
        lines = harness.generated(1000, seed=3, priority="bulk")
        cases = [harness.as_case(line) for line in lines]
        base = [(c, c.code) for c in cases]
        stubs = engine.stubs()

        def submit(k):
            now = list(harness.series(base, k))
            batches = [stubs.issuance.SubmitBatch.future(batch(now[i:i + 250]), timeout=60)
                       for i in range(0, len(now), 250)]
            for f in batches:
                assert not f.result().rejects, f.result().rejects[0]

        for k in range(BULK // len(cases)):
            submit(k)
        status = lambda: stubs.operations.GetStatus(m["operations"].GetStatusRequest(), timeout=20)
        waits = []
        for i in range(5):
            backlog = status().backlog
            c = case()
            c.priority = m["case"].PRIORITY_INTERACTIVE
            start = time.monotonic()
            r = send(stubs, [c]).receipts[0]
            for change in stubs.issuance.WatchResults(
                    m["issuance"].WatchResultsRequest(result_ids=[r.result_id]), timeout=20):
                last = change.state
            assert last == 6
            waits.append(time.monotonic() - start)
            assert backlog > 20_000, f"only {backlog} cases are queued"
        assert max(waits) < 1.0, waits
    finally:
        engine.kill()
