"""What functions may reach under each network policy: a real other host, and all that must stay out of reach."""

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.support.apps_host import FAR, NEAR, PORT, outside_host
from tests.support.backends import open_directory
from tests.support.builders import Functions, functions_on
from tests.support.platform import Platform, all_in_one

CALLS_BACK = """
const http = require('http')
const get = url => new Promise(resolve => {
  const request = http.get(url, { timeout: 1500 }, answer => {
    let body = ''
    answer.on('data', chunk => { body += chunk })
    answer.on('end', () => resolve(body || 'empty'))
  })
  request.on('timeout', () => request.destroy(new Error('timeout')))
  request.on('error', error => resolve('error: ' + (error.code || error.message)))
})
exports.handler = async event => {
  const urls = JSON.parse(event.body)
  return { statusCode: 200, body: await Promise.all(urls.map(get)) }
}
"""
PYTHON_CALLS_BACK = """
import json, urllib.request

def get(url):
    try:
        return urllib.request.urlopen(url, timeout=1.5).read().decode()
    except OSError as error:
        return f"error: {error}"

def handler(event, context):
    return {"statusCode": 200, "body": [get(url) for url in json.loads(event["body"])]}
"""
GREETING = "from the other side"


@pytest.fixture(scope="module")
def other_host() -> Iterator[str]:
    with outside_host() as url:
        yield url


@pytest.fixture(scope="module")
def online(other_host: str) -> Iterator[Platform]:
    with open_directory() as directory, all_in_one(directory, {"TIDEMILL_NETWORK": "internet"}) as running:
        yield running


@pytest.fixture(scope="module")
def offline(other_host: str) -> Iterator[Platform]:
    with open_directory() as directory, all_in_one(directory, {"TIDEMILL_NETWORK": "none"}) as running:
        yield running


@pytest.fixture
def offline_functions(offline: Platform) -> Iterator[Functions]:
    with offline.neo() as neo, offline.extra_horizon() as exh, functions_on(neo, exh) as made:
        yield made


@pytest.fixture
def online_functions(online: Platform) -> Iterator[Functions]:
    with online.neo() as neo, online.extra_horizon() as exh, functions_on(neo, exh) as made:
        yield made


@pytest.fixture(scope="module")
def neighbour() -> Iterator[int]:
    """Give the port of a service of this machine that listens on every address: what must stay private."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"private")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_a_function_calls_back_over_the_network(online_functions: Functions, other_host: str) -> None:
    node = online_functions.create_node(CALLS_BACK, timeLimit=10)
    python = online_functions.create_python(PYTHON_CALLS_BACK, timeLimit=10)

    assert online_functions.call(node, "/", "POST", json=[other_host]).json() == [GREETING]
    assert online_functions.call(python, "/", "POST", json=[other_host]).json() == [GREETING]


def test_the_internet_is_not_this_machine_nor_what_is_private_to_it(
    online: Platform, online_functions: Functions, neighbour: int
) -> None:
    name = online_functions.create_node(CALLS_BACK, timeLimit=10)
    own = urlsplit(online.address).port
    targets = [
        f"http://127.0.0.1:{own}/health",
        f"http://localhost:{own}/health",
        f"http://127.0.0.1:{neighbour}/",
        f"http://{NEAR}:{neighbour}/",
        f"http://10.0.2.2:{neighbour}/",
        "http://169.254.169.254/latest/meta-data/",
        f"http://172.17.0.1:{neighbour}/",
        f"http://192.168.0.1:{neighbour}/",
    ]

    answers = online_functions.call(name, "/", "POST", json=targets).json()

    reached = [target for target, answer in zip(targets, answers, strict=True) if not answer.startswith("error: ")]
    assert reached == []


def test_every_one_of_many_sandboxes_gets_its_network(
    online_functions: Functions, other_host: str, threads: ThreadPoolExecutor
) -> None:
    slow = CALLS_BACK.replace("Promise.all(urls.map(get))", "new Promise(r => setTimeout(() => r(get(urls[0])), 300))")
    names = [online_functions.create_node(slow, timeLimit=20) for _ in range(6)]

    answers = list(
        threads.map(lambda number: online_functions.call(names[number % 6], "/", "POST", json=[other_host]), range(48))
    )

    assert {answer.text for answer in answers} == {GREETING}


def test_without_network_nothing_is_reached(
    offline: Platform, offline_functions: Functions, other_host: str, neighbour: int
) -> None:
    name = offline_functions.create_node(CALLS_BACK, timeLimit=10)
    targets = [other_host, offline.address, f"http://{FAR}:{PORT}/", f"http://{NEAR}:{neighbour}/"]

    answers = offline_functions.call(name, "/", "POST", json=targets).json()

    assert [answer.partition(":")[0] for answer in answers] == ["error"] * len(targets)
