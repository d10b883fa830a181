"""The functions the bench uploads, and how."""

import base64
import io
import zipfile

import httpx

NODE = "exports.handler = async () => ({ statusCode: 200, body: 'ok' });\n"
PYTHON = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}\n"


def package(files: dict[str, str]) -> bytes:
    """Return files as a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def zipped(files: dict[str, str]) -> str:
    """Return files as a base64 zip."""
    return base64.b64encode(package(files)).decode()


def create_api_function(client: httpx.Client, name: str, *, python: bool = False) -> None:
    """Create a no-op API function that any logged-in user may call."""
    answer = client.post(
        "/tasks/v1/functions/",
        json={
            "name": name,
            "code": zipped({"index.py": PYTHON} if python else {"index.js": NODE}),
            "entryPoint": "index.handler",
            "runtime": "python3.12" if python else "nodejs20.x",
            "executionOptions": {"permissionMode": "permissionRequired"},
        },
    )
    answer.raise_for_status()
