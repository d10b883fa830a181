"""What Node.js really writes of a value inside an object is recognised, whatever is in the value."""

import json
import random
import re
import string
import subprocess

import pytest

from services.invoker.redaction import Redactor
from shared.domain.runtime import Family
from shared.process.node_programs import find_node

WRITE = """
const { inspect } = require('node:util');
const values = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const ways = [
  (v) => inspect({ a: v }),
  (v) => inspect({ deep: { down: [{ a: v }] } }, { depth: 9 }),
  (v) => inspect({ [v]: 1 }),
  (v) => inspect([v, v]),
  (v) => inspect(new Map([[v, v]])),
  (v) => JSON.stringify({ a: v }),
  (v) => JSON.stringify({ a: v }, null, 2),
  (v) => inspect({ body: JSON.stringify({ a: v }) }),
  (v) => JSON.stringify({ body: JSON.stringify({ a: v }) }),
  (v) => String(new Error(v).message),
  (v) => new Error(v).stack,
  (v) => inspect(new Error(v)),
  (v) => inspect({ cause: new Error(v) }),
];
process.stdout.write(JSON.stringify(values.map((v) => ways.map((way) => way(v)))));
"""
MIDDLE = "SecretMiddlePart"


def written(values: list[str], family: Family = Family.NODE) -> list[list[str]]:
    node = find_node(family)
    assert node is not None
    run = subprocess.run(
        [node, "-e", WRITE], input=json.dumps(values).encode(), capture_output=True, timeout=60, check=True
    )
    made: list[list[str]] = json.loads(run.stdout)
    return made


def values(seed: int) -> list[str]:
    """Return values with all kinds of characters around a part that is looked for afterwards."""
    made = random.Random(seed)
    alphabet = [*string.ascii_letters, *"'\"`\\$/{}<>&%éß\u2028\x7f\x85\U0001f30a\t\r\b\f\x1b\x01", "\n", "\n", "\r\n"]

    def edge() -> str:
        return "".join(made.choices(alphabet, k=made.randint(0, 12)))

    return [f"{edge()}{MIDDLE}{edge()}{MIDDLE}{edge()}" for _ in range(200)]


@pytest.mark.parametrize("family", [Family.NODE16, Family.NODE18, Family.NODE])
@pytest.mark.parametrize("seed", range(2))
def test_a_value_is_recognised_as_node_writes_it(seed: int, family: Family) -> None:
    given = values(seed)
    for value, texts in zip(given, written(given, family), strict=True):
        redactor = Redactor([value])
        for text in texts:
            assert MIDDLE in text
            assert MIDDLE not in redactor.text(text), (value, text)


def test_what_is_around_a_value_of_several_lines_stays() -> None:
    value = "first line is long enough\nsecond line too, and it goes on and on and on and on\nthird"
    [[inspected, *_]] = written([value])

    assert re.fullmatch(r"\{\s*a: '\*\*\*'\s*\}", Redactor([value]).text(inspected)), inspected
