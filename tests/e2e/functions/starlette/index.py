"""The entry point: Extra Horizon's request made whole for Mangum, which expects what API Gateway sends."""

from typing import Any
from urllib.parse import unquote

from app import app
from mangum import Mangum

adapter = Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    http = event["requestContext"]["http"]
    http.setdefault("path", unquote(event["rawPath"]))
    http.setdefault("sourceIp", "0.0.0.0")
    event["rawQueryString"] = event["rawQueryString"].removeprefix("?")
    answer = adapter(event, context)
    # An API function answers with plain headers: of several cookies only the last one would arrive.
    for cookie in answer.pop("cookies", []):
        answer["headers"]["set-cookie"] = cookie
    return answer
