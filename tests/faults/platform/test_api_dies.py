"""An api is killed under load: every execution whose id a caller has heard is on disk, and ends."""

from functools import partial

from tests.faults.platform.conftest import functions_of, load_on
from tests.faults.platform.test_invoker_dies import SETTLE_S, WORKS, all_settled
from tests.support.apps_cluster import Cluster
from tests.support.eventually import eventually_sync


def test_what_an_api_accepted_before_it_was_killed_is_kept_and_run(one_invoker: Cluster) -> None:
    with functions_of(one_invoker) as functions:
        name = functions.create_neo(WORKS)
        with load_on(functions, name, synchronous=2, asynchronous=6) as told:
            eventually_sync(lambda: len(told.accepted) > 60, within_s=30)
            one_invoker.kill("api")
            eventually_sync(lambda: told.broken)

    one_invoker.start("api")
    with functions_of(one_invoker) as functions:
        records = eventually_sync(partial(all_settled, functions, name, told), within_s=SETTLE_S)
        ledger = one_invoker.ledger()

    assert {each["status"] for each in records} == {"completed"}
    assert set(told.answered) <= {200, 202}
    # Some may have been kept whose callers never heard of it: each still ends exactly once.
    assert sum(row.accepted for row in ledger) >= len(told.accepted)
    assert [row.drift for row in ledger] == [0]
