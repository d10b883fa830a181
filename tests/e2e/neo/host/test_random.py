"""``services.random``, how often a run may call, and who suffers when code goes around the runtime."""

# ruff: noqa: E501 - sources of functions stand on one line
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.crypto.canonical import canonical_of
from tests.e2e.neo.conftest import Account
from tests.e2e.neo.host.outside import CAUGHT, run
from tests.support.platform import Platform


def test_a_thousand_random_numbers_stay_inside_and_their_proof_is_the_platforms(
    account: Account, platform: Platform
) -> None:
    name = account.functions.create_neo(
        """module.exports = async ({ services }) => {
          const drawn = [];
          for (let n = 0; n < 199; n += 1) drawn.push(await services.random.generate({ min: 1, max: 6 }));
          return { drawn, bytes: await services.random.bytes(32) };
        };"""
    )
    runs = [account.functions.invoke(name).json()["data"]["result"] for _ in range(6)]
    drawn = [each for told in runs for each in told["drawn"]]

    assert len(drawn) > 1000
    assert {each["number"] for each in drawn} == {1, 2, 3, 4, 5, 6}
    assert len({each["requestId"] for each in drawn}) == len(drawn)
    assert {len(told["bytes"]) for told in runs} == {64}
    with platform.anonymous() as client:
        key = bytes.fromhex(client.get("/v1/attestation").json()["data"]["publicKey"])
    for each in drawn[:20]:
        proof = bytes.fromhex(each.pop("proof"))
        Ed25519PublicKey.from_public_bytes(key).verify(proof, canonical_of(each))


def test_a_run_may_call_two_hundred_times(account: Account) -> None:
    told = run(
        account,
        f"""for (let n = 0; n < 200; n += 1) await services.random.bytes(1);
        return services.random.bytes(1).catch({CAUGHT});""",
    )

    assert (told["ours"], told["name"], told["code"]) == (True, "CallLimitError", "call_limit_exceeded")


def test_code_that_goes_around_the_runtime_only_harms_itself(account: Account) -> None:
    # URL is the process's own class: its constructor's constructor makes code outside of the realm.
    flood = account.functions.create_neo(
        """module.exports = () => {
          const process = URL.constructor('return process')();
          const { writeSync } = process.mainModule.require('node:fs');
          const body = JSON.stringify({ service: 'random', method: 'bytes', args: [1] });
          for (let c = 1; c < 1e6; c += 1) writeSync(3, JSON.stringify({ t: 'call', id: 'x', c, n: body.length }) + '\\n' + body);
        };"""
    )
    failed = account.functions.invoke(flood)

    assert failed.status_code == 500
    assert failed.json()["error"]["code"] == "execution_error"
    assert len(run(account, "return services.random.bytes(4);")) == 8
