"""``tidemill verify-receipt``: what it accepts, what it says, how it ends."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.verify_receipt import main
from shared.crypto.attestation import KnownKey, attestation
from shared.crypto.receipts import EndedRun, hash_of, hash_of_text, moment, receipt
from shared.crypto.signing import SigningKey

KEY = SigningKey.from_secret(bytes(range(32)))
OLD = SigningKey.from_secret(bytes(reversed(range(32))))
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CODE = "module.exports = 1\r\n// é\n"
PARAMS = '{"n":1.0,"big":12345678901234567890123,"huge":1e999,"half":"\\ud83d","-0":-0}'
RESULT = '{"b":[0.1,2e21],"a":null}'


def signed(key: SigningKey = KEY, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "execution_id": "exec_" + "0a" * 12,
        "function_id": "func_a1b2c3d4e5",
        "code_hash": hash_of(CODE),
        "params_hash": hash_of_text(PARAMS),
        "result_hash": hash_of_text(RESULT),
        "error_hash": None,
        "status": "completed",
        "started_at": AT,
        "completed_at": AT + timedelta(seconds=2),
    }
    return receipt(EndedRun(**{**given, **changes}), key)


def execution(made: dict[str, Any], **changes: str) -> str:
    """Return the JSON text of an execution as the API shows it; ``changes`` are JSON texts."""
    shown = {
        "id": json.dumps("exec_" + "0a" * 12),
        "functionId": '"func_a1b2c3d4e5"',
        "status": '"completed"',
        "startedAt": json.dumps(moment(AT)),
        "completedAt": json.dumps(moment(AT + timedelta(seconds=2))),
        "params": PARAMS,
        "result": RESULT,
        "logs": "[]",
        "receipt": json.dumps(made),
        **changes,
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in shown.items() if text) + "}"


def an_attestation(key: SigningKey = KEY, *known: SigningKey) -> dict[str, Any]:
    keys = [KnownKey(id=each.id, public_key=each.public_key, created_at=AT, retired_at=AT) for each in known]
    return attestation(nonce=None, at=AT, measurements={}, invokers=[], keys=keys, key=key)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(content: object, name: str = "file.json") -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2), "utf-8", newline="")
        return str(path)

    return write


BY_KEY = ("--public-key", KEY.public_key.hex())


def test_a_receipt_an_execution_and_a_whole_answer_are_verified(written: Any, capsys: Any) -> None:
    made = signed()

    for text in (json.dumps(made), execution(made), f'{{"success":true,"data":{execution(made)}}}'):
        assert main([written(text), *BY_KEY]) == 0
        assert f"verified: the holder of the key {KEY.id} stated this outcome" in capsys.readouterr().out


def test_it_says_that_a_receipt_is_simulated(written: Any, capsys: Any) -> None:
    main([written(signed()), *BY_KEY])

    assert "It is simulated: no hardware vouches for it" in capsys.readouterr().out


def test_the_receipt_of_a_failed_run_is_checked_against_the_error(written: Any, capsys: Any) -> None:
    error = {"name": "TypeError", "message": "no", "stack": "at 1"}
    made = signed(status="failed", result_hash=None, error_hash=hash_of(error))
    shown = {"status": '"failed"', "result": ""}

    assert main([written(execution(made, error=json.dumps(error), **shown)), *BY_KEY]) == 0
    assert main([written(execution(made, error='{"name":"Error"}', **shown)), *BY_KEY]) == 1
    assert "errorHash: it is not the hash of the error that the execution shows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": '"exec_ff"'}, 'executionId: the execution shows "exec_ff"'),
        ({"functionId": '"func_zzzzzzzzzz"'}, 'functionId: the execution shows "func_zzzzzzzzzz"'),
        ({"status": '"failed"'}, 'status: the execution shows "failed"'),
        ({"startedAt": '"2026-01-02T03:04:06Z"'}, 'startedAt: the execution shows "2026-01-02T03:04:06Z"'),
        ({"completedAt": "null"}, "completedAt: the execution shows null"),
        ({"params": '{"n":2}'}, "paramsHash: it is not the hash of the params that the execution shows"),
        ({"result": "null"}, "resultHash: it is not the hash of the result that the execution shows"),
        ({"result": ""}, "resultHash: the execution shows no result"),
        ({"result": "[" * 300 + "]" * 300}, "resultHash: it is not the hash of the result that the execution shows"),
    ],
)
def test_an_execution_that_shows_something_else_is_named(
    written: Any, capsys: Any, changes: dict[str, str], said: str
) -> None:
    assert main([written(execution(signed(), **changes)), *BY_KEY]) == 1

    out = capsys.readouterr().out
    assert f"FAIL  {said}\n" in out
    assert out.count("FAIL") == 1
    assert out.endswith("not verified\n")


@pytest.mark.parametrize("name", [name for name in signed() if name != "signature"])
def test_a_receipt_with_one_member_changed_is_not_verified(written: Any, capsys: Any, name: str) -> None:
    other = signed(
        OLD, execution_id="exec_" + "0b" * 12, function_id="func_other", code_hash=None, params_hash="0" * 64
    )
    other |= {"resultHash": "1" * 64, "status": "failed", "simulated": False, "algorithm": "RSA"}
    other |= {"startedAt": "2020-01-01T00:00:00Z", "completedAt": "2020-01-01T00:00:00Z"}

    assert main([written({**signed(), name: other[name]}), *BY_KEY]) == 1

    assert "FAIL" in capsys.readouterr().out


def test_the_key_may_come_from_an_attestation_also_a_retired_one(written: Any) -> None:
    document = written({"success": True, "data": an_attestation(KEY, OLD)}, "attestation.json")

    assert main([written(signed(KEY)), "--attestation", document]) == 0
    assert main([written(signed(OLD)), "--attestation", document]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (an_attestation(OLD), f"keyId: the attestation document tells of no key {KEY.id}"),
        ({**an_attestation(), "nonce": "00"}, "the attestation document is not right: signature: it does not match"),
        ({**an_attestation(), "publicKey": OLD.public_key.hex()}, "publicKeyHash: it is not the SHA-256 of publicKey"),
        ({}, "the attestation document is not right: algorithm: it is missing"),
        ([], "the attestation file holds no JSON object"),
        ("{", "is not JSON that can be read"),
    ],
)
def test_an_attestation_that_is_not_right_is_not_trusted(written: Any, capsys: Any, content: Any, said: str) -> None:
    assert main([written(signed()), "--attestation", written(content, "attestation.json")]) == 1

    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON that can be read"),
        ("[" * 100_000, "is not JSON that can be read"),
        ("[1]", "the file holds no JSON object"),
        ('{"id":"exec_1"}', "the file holds neither a receipt nor an execution with one"),
        (execution(signed(), receipt="null"), "the execution has no receipt"),
    ],
)
def test_a_file_without_a_receipt_is_told_from_a_wrong_one(written: Any, capsys: Any, content: str, said: str) -> None:
    assert main([written(content), *BY_KEY]) == 1

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("not verified: ")
    assert said in shown.err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: Any) -> None:
    assert main([str(tmp_path / "absent"), *BY_KEY]) == 1

    assert "No such file" in capsys.readouterr().err


def test_the_code_is_checked_byte_for_byte(written: Any, capsys: Any) -> None:
    assert main([written(signed()), *BY_KEY, "--code", written(CODE, "index.js")]) == 0
    assert main([written(signed()), *BY_KEY, "--code", written(CODE.replace("\r", ""), "index.js")]) == 1

    assert "FAIL  codeHash: it is that of another code" in capsys.readouterr().out


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(signed())))

    assert main(["-", *BY_KEY]) == 0


@pytest.mark.parametrize(
    "options", [(), ("--public-key", "00"), ("--public-key", "xyz"), (*BY_KEY, "--attestation", "x")]
)
def test_a_command_that_names_no_key_to_trust_makes_no_sense(written: Any, capsys: Any, options: tuple[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([written(signed()), *options])

    assert ended.value.code == 2
    assert "usage: tidemill verify-receipt" in capsys.readouterr().err
