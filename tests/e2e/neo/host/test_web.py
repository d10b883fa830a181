"""``fetch``, ``services.oracle`` and ``services.priceFeed``, asked by functions."""

# ruff: noqa: E501 - sources of functions stand on one line
import time
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.neo.conftest import Account
from tests.e2e.neo.host.outside import CAUGHT, Outside, run
from tests.support.platform import Platform


def test_fetch_gives_a_response(account: Account, outside: Outside, runtime: str) -> None:
    told = run(
        account,
        """const plain = await fetch(params.at + '/a?b=c');
        const text = await plain.text();
        const bytes = await fetch(new URL('/bytes', params.at));
        const array = await bytes.arrayBuffer();
        const teapot = await fetch(params.at + '/teapot');
        return {
          ok: [plain.ok, plain.status, plain.statusText, plain.url === params.at + '/a?b=c', plain.redirected],
          type: [plain.headers.get('Content-Type'), plain.headers.has('x-mark'), plain.headers.get('x-mark'), bytes.headers.get('X-MARK')],
          text: JSON.parse(text).path,
          array: [array instanceof ArrayBuffer, Array.from(new Uint8Array(array)).every((byte, n) => byte === n), array.byteLength],
          teapot: [teapot.ok, teapot.status, await teapot.json()],
          names: [...bytes.headers].map(([name]) => name).includes('x-mark'),
        };""",
        {"at": outside.at},
        runtime=runtime,
    )

    assert told == {
        "ok": [True, 200, "OK", True, False],
        "type": ["application/json; charset=utf-8", False, None, "one"],
        "text": "/a?b=c",
        "array": [True, True, 256],
        "teapot": [False, 418, {"short": True}],
        "names": True,
    }


def test_fetch_sends_what_it_is_given(account: Account, outside: Outside, runtime: str) -> None:
    told = run(
        account,
        """const send = async (body, headers) => (await fetch(params.at + '/', { method: 'post', body, headers })).json();
        return [
          await send('grüß', { 'Content-Type': 'text/plain' }),
          await send(new URLSearchParams({ a: 'b c' }), [['content-type', 'application/x-www-form-urlencoded']]),
          await send(new Uint8Array([0, 255, 65]).subarray(1)),
          await send(new Uint8Array([66, 67]).buffer, new Map([['X-Mine', 1]])),
          await fetch(params.at + '/', { method: 'POST', body: {} }).catch((error) => error.name),
        ];""",
        {"at": outside.at},
        runtime=runtime,
    )

    assert [each["body"] for each in told[:4]] == ["grÃ¼Ã\x9f", "a=b+c", "\xffA", "BC"]
    assert {each["method"] for each in told[:4]} == {"POST"}
    assert [each["type"] for each in told[:2]] == ["text/plain", "application/x-www-form-urlencoded"]
    assert told[4] == "InvalidArgumentError"


def test_fetch_reaches_nothing_else(account: Account, outside: Outside, platform: Platform) -> None:
    urls = [platform.address + "/health", "http://127.0.0.1/", "https://[::1]/", "http://169.254.169.254/", "https://example.com/",
            outside.at.replace("https", "http"), f"{outside.at}/away", "https://api.example@localhost/"]  # fmt: skip
    told = run(
        account,
        f"return Promise.all(params.urls.map((url) => fetch(url).then(() => 'reached', {CAUGHT})));",
        {"urls": urls},
    )

    assert [each["name"] for each in told] == [*["HostNotAllowedError"] * 7, "InvalidArgumentError"]
    assert all(each["ours"] for each in told)


def test_a_request_can_be_aborted(account: Account, outside: Outside, runtime: str) -> None:
    told = run(
        account,
        """const controller = new AbortController();
        const before = await fetch(params.at + '/', { signal: controller.signal });
        const slow = fetch(params.at + '/slow', { signal: controller.signal }).catch((error) => [error instanceof Error, error.name]);
        setTimeout(() => controller.abort(), 50);
        return [await slow, before.status, await fetch(params.at + '/', { signal: controller.signal }).catch((error) => error.name)];""",
        {"at": outside.at},
        runtime=runtime,
    )

    assert told == [[True, "AbortError"], 200, "AbortError"]


def test_a_fetch_that_hangs_ends_with_the_run(account: Account, outside: Outside) -> None:
    name = account.functions.create_neo("module.exports = ({ params }) => fetch(params.at + '/slow')", timeout=1)
    began = time.monotonic()
    failed = account.functions.invoke(name, {"at": outside.at})

    assert time.monotonic() - began < 4
    assert failed.json()["error"]["details"]["name"] == "TimeoutError"


def test_the_oracle_gives_what_is_at_a_path(account: Account, outside: Outside) -> None:
    told = run(
        account,
        f"""const ask = (more) => services.oracle.fetch({{ url: params.at + '/x', ...more }}).catch({CAUGHT});
        return [await ask({{ jsonPath: '$.price.neo' }}), (await ask({{ method: 'POST', body: 'b' }})).body,
          await ask({{ jsonPath: '$.none' }}), await services.oracle.fetch({{ url: params.at + '/teapot' }}).catch((error) => error.status)];""",
        {"at": outside.at},
    )

    assert told[:2] == ["12.25", "b"]
    assert (told[2]["ours"], told[2]["name"], told[2]["code"]) == (True, "OracleError", "oracle_error")
    assert told[3] == 418


def test_the_price_feed_combines_its_sources(account: Account) -> None:
    told = run(account, "return services.priceFeed.getPrice('NEO/USD');")

    assert abs(told.pop("lastUpdateTime") - time.time()) < 60
    assert told == {"pair": "NEO-USD", "price": "12.25", "decimals": 8, "sources": ["one", "two"]}


def test_many_runs_call_at_once_and_each_gets_its_own_answers(
    account: Account, outside: Outside, threads: ThreadPoolExecutor
) -> None:
    name = account.functions.create_neo(
        """module.exports = async ({ params }) => {
          const numbers = [0, 1, 2, 3].map((n) => params.n * 10 + n);
          const answers = await Promise.all(numbers.map(async (n) => (await (await fetch(`${params.at}/${n}`)).json()).path));
          return answers.every((path, n) => path === `/${numbers[n]}`);
        };"""
    )
    told = list(threads.map(lambda n: account.functions.invoke(name, {"n": n, "at": outside.at}).json(), range(20)))

    assert all(each["data"]["result"] is True for each in told), told
