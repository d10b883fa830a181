import pytest

from shared.messages.messages import DeployFunction, RunExecution, Work
from shared.messages.topology import ASYNC_QUEUE, DEPLOY_QUEUE, WorkQueue, queue_of

LONGEST_RUN_S = 300
LEASE_S = 330


@pytest.mark.parametrize(
    ("work", "queue"),
    [
        (RunExecution(execution_id="e", function_id="f"), ASYNC_QUEUE),
        (DeployFunction(deployment_id="d", function_id="f"), DEPLOY_QUEUE),
    ],
)
def test_each_kind_of_work_has_its_queue(work: Work, queue: WorkQueue) -> None:
    assert queue_of(work) is queue


@pytest.mark.parametrize("queue", [ASYNC_QUEUE, DEPLOY_QUEUE])
def test_the_brokers_patience_outlives_the_longest_run_and_its_lease(queue: WorkQueue) -> None:
    assert queue.consumer_timeout_s > LEASE_S > LONGEST_RUN_S
