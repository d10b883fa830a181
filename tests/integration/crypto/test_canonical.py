"""Canonical JSON is the same in Node.js, by the few lines that the documentation prints."""

import base64
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.crypto.canonical import canonical
from tests.support.documented_receipts import SCRIPT, run_in_node

texts = st.text(st.characters(exclude_categories=[]), max_size=6)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
ODD = [
    *("1e400", "-1e400", "-0", "-0.0", "1.0", "9007199254740993", "1e21", "1e-7", "0.000001", "5e-324", "1" * 400),
    r'"\u0000\u001f\u007f\u2028\ud800\udc00\ud800"', '{"a":1,"a":2,"\\uffff":3,"\\ud83d\\ude00":4}', '{"__proto__":1}',
]  # fmt: skip


def canonical_in_node(sent: list[str]) -> list[bytes]:
    """Return the canonical forms of JSON texts as Node.js makes them."""
    function = SCRIPT[SCRIPT.index("const canonical =") : SCRIPT.index("const hash =")]
    script = (
        function + "const texts = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));"
        "process.stdout.write(JSON.stringify(texts.map((text) => "
        "Buffer.from(canonical(JSON.parse(text))).toString('base64'))));"
    )
    return [base64.b64decode(each) for each in json.loads(run_in_node(script, stdin=json.dumps(sent)))]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(values, min_size=20, max_size=60))
def test_it_is_what_node_makes(found: list[Any]) -> None:
    sent = [json.dumps(each) for each in found] + ODD

    assert [canonical(text) for text in sent] == canonical_in_node(sent)
