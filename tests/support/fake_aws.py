"""
A small AWS over HTTP for what emulators do not do: STS that asks for the external id, and a Lambda that takes its
time, fails later, denies what it is told to deny, and answers invocations as it is told to.

Functions begin ``Pending`` and changes ``InProgress``; each look at one brings it ``steps`` nearer to its end. What is
told here and not what AWS does elsewhere: only the calls our code makes are answered, everything else is a 404.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/GatewaysAppDeployRole"
EXTERNAL_ID = "e" * 32
_FUNCTION = re.compile(r"/(?P<version>20\d\d-\d\d-\d\d)/functions(/(?P<name>[^/]+)(?P<rest>/.*)?)?")


class AwsError(Exception):
    """What a call is answered with instead."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


@dataclass
class Function:
    """One function of the fake Lambda. ``looks`` counts down to the end of what is going on."""

    configuration: dict[str, Any]
    tags: dict[str, str]
    package: bytes
    looks: int = 0
    ends_as: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    statements: set[str] = field(default_factory=set)
    hides_tags: bool = False


@dataclass
class Invocation:
    """How the next calls of functions are answered."""

    payload: bytes = b"{}"
    error: str | None = None
    logs: str = ""


class FakeAws:
    """The state of the fake and what tests may tell it. ``calls`` are the names of actions, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Be new again."""
        self.account = ACCOUNT
        self.external_id = EXTERNAL_ID
        self.looks = 2
        self.calls: list[str] = []
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.functions: dict[str, Function] = {}
        self.fails: dict[str, list[AwsError]] = {}
        self.becomes: dict[str, dict[str, Any]] = {}
        self.assumed: list[str] = []
        self.invocation = Invocation()
        self.hold: threading.Event | None = None
        self.held: dict[str, threading.Event] = {}
        self.drops_next = False

    def fail(self, action: str, *errors: AwsError) -> None:
        """Answer the next calls of an action with these errors, one each."""
        self.fails.setdefault(action, []).extend(errors)

    def count(self, action: str) -> int:
        return self.calls.count(action)

    def answer(self, action: str, request: Mapping[str, Any], work: Callable[[], Any]) -> Any:
        with self.lock:
            self.calls.append(action)
            self.requests.append((action, request))
        if action in self.held:
            self.held[action].wait(30)
        with self.lock:
            if self.fails.get(action):
                raise self.fails[action].pop(0)
            return work()

    def assume_role(self, form: Mapping[str, str]) -> str:
        if form["RoleArn"] != ROLE or form.get("ExternalId") != self.external_id:
            raise AwsError(403, "AccessDenied", f"not authorized to perform: sts:AssumeRole on {form['RoleArn']}")
        self.assumed.append(form["RoleSessionName"])
        return (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATEST</AccessKeyId>"
            "<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
            "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )

    def identity(self) -> str:
        return (
            "<GetCallerIdentityResponse><GetCallerIdentityResult>"
            f"<Account>{self.account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        )

    def function(self, name: str) -> Function:
        if name not in self.functions:
            raise AwsError(404, "ResourceNotFoundException", f"Function not found: {name}")
        return self.functions[name]

    def look(self, name: str) -> Function:
        """Return a function, one look nearer to the end of what is going on."""
        found = self.function(name)
        found.looks -= 1
        if found.looks <= 0:
            found.configuration.update(found.ends_as)
        return found

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["FunctionName"]
        if name in self.functions:
            raise AwsError(409, "ResourceConflictException", f"Function already exist: {name}")
        package = base64.b64decode(body.pop("Code")["ZipFile"])
        configuration = {
            **body,
            **_code(package),
            "FunctionArn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{name}",
            "State": "Pending",
            "StateReason": "The function is being created.",
            "LastModified": "2026-03-01T09:00:00.000+0000",
        }
        ends_as = {"State": "Active", "StateReason": None, "LastUpdateStatus": "Successful"}
        self.functions[name] = Function(
            configuration, body.pop("Tags", {}), package, self.looks, ends_as | self.becomes.get("create", {})
        )
        return configuration

    def change(self, name: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
        found = self.function(name)
        busy = found.configuration["State"] == "Pending" or found.configuration.get("LastUpdateStatus") == "InProgress"
        if busy:
            raise AwsError(409, "ResourceConflictException", "An update is in progress for the function")
        if "ZipFile" in values:
            found.package = base64.b64decode(values.pop("ZipFile"))
            values |= _code(found.package)
        found.configuration |= values | {"LastUpdateStatus": "InProgress"}
        found.looks = self.looks
        found.ends_as = {"LastUpdateStatus": "Successful"} | self.becomes.get(kind, {})
        return found.configuration

    def open_url(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        found = self.function(name)
        if found.url is not None:
            raise AwsError(409, "ResourceConflictException", "FunctionUrlConfig exists for this Lambda function")
        found.url = f"https://{hashlib.md5(name.encode()).hexdigest()}.lambda-url.eu-west-1.on.aws/"
        return {"FunctionUrl": found.url, **body}

    def url_of(self, name: str) -> dict[str, Any]:
        found = self.function(name)
        if found.url is None:
            raise AwsError(404, "ResourceNotFoundException", "The resource you requested does not exist.")
        return {"FunctionUrl": found.url, "AuthType": "NONE"}

    def close_url(self, name: str) -> dict[str, Any]:
        self.url_of(name)
        self.function(name).url = None
        return {}

    def permit(self, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        statement = body["StatementId"]
        if statement in self.function(name).statements:
            raise AwsError(409, "ResourceConflictException", f"The statement id ({statement}) provided already exists.")
        self.function(name).statements.add(statement)
        return {"Statement": "{}"}

    def forbid(self, name: str, statement: str) -> dict[str, Any]:
        if statement not in self.function(name).statements:
            raise AwsError(404, "ResourceNotFoundException", f"Statement {statement} is not found in resource policy.")
        self.function(name).statements.remove(statement)
        return {}

    def delete(self, name: str) -> dict[str, Any]:
        self.function(name)
        del self.functions[name]
        return {}


def _code(package: bytes) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(package).digest()).decode()
    return {"CodeSha256": digest, "CodeSize": len(package)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait for each other
    aws: FakeAws

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._route(urlsplit(self.path).path, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked was killed
        except AwsError as error:
            if self.path == "/":
                told = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
                self._send(
                    error.status, f"<ErrorResponse>{told}</ErrorResponse>".encode(), {"Content-Type": "text/xml"}
                )
            else:
                text = json.dumps({"Type": "User", "Message": error.message})
                self._send(error.status, text.encode(), {"x-amzn-ErrorType": error.code})

    def _route(self, path: str, body: bytes) -> None:
        if path == "/":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            entering = form["Action"] == "AssumeRole"
            xml = self.aws.answer(
                form["Action"], form, lambda: self.aws.assume_role(form) if entering else self.aws.identity()
            )
            return self._send(200, xml.encode(), {"Content-Type": "text/xml"})
        found = _FUNCTION.fullmatch(path)
        if found is None:
            raise AwsError(404, "UnknownOperationException", path)
        name, rest = unquote(found["name"] or ""), unquote(found["rest"] or "")
        if rest == "/invocations":
            return self._invoke(name, body)
        action, work = self._operation(name, rest, json.loads(body or b"{}"))
        answer = self.aws.answer(action, json.loads(body or b"{}"), work)
        return self._send(201 if self.command == "POST" else 200, json.dumps(answer).encode())

    def _operation(self, name: str, rest: str, body: dict[str, Any]) -> tuple[str, Callable[[], Any]]:
        aws = self.aws
        operations: dict[tuple[str, str], tuple[str, Callable[[], Any]]] = {
            ("GET", ""): ("GetFunction", lambda: _described(aws.look(name))),
            ("POST", ""): ("CreateFunction", lambda: aws.create(body)),
            ("DELETE", ""): ("DeleteFunction", lambda: aws.delete(name)),
            ("PUT", "/configuration"): (
                "UpdateFunctionConfiguration",
                lambda: aws.change(name, "configuration", body),
            ),
            ("PUT", "/code"): ("UpdateFunctionCode", lambda: aws.change(name, "code", body)),
            ("GET", "/url"): ("GetFunctionUrlConfig", lambda: aws.url_of(name)),
            ("POST", "/url"): ("CreateFunctionUrlConfig", lambda: aws.open_url(name, body)),
            ("DELETE", "/url"): ("DeleteFunctionUrlConfig", lambda: aws.close_url(name)),
            ("POST", "/policy"): ("AddPermission", lambda: aws.permit(name, body)),
        }
        if rest.startswith("/policy/") and self.command == "DELETE":
            return "RemovePermission", lambda: aws.forbid(name, rest.removeprefix("/policy/"))
        return operations[self.command, rest]

    def _invoke(self, name: str, body: bytes) -> None:
        self.aws.answer(
            "Invoke", {"Payload": body, "LogType": self.headers.get("X-Amz-Log-Type")}, lambda: self.aws.function(name)
        )
        if self.aws.hold is not None:
            self.aws.hold.wait(30)
        if self.aws.drops_next:
            self.aws.drops_next, self.close_connection = False, True
            return
        told = self.aws.invocation
        headers = {"x-amz-log-result": base64.b64encode(told.logs.encode()).decode()}
        if told.error is not None:
            headers["x-amz-function-error"] = told.error
        self._send(200, told.payload, headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _described(function: Function) -> dict[str, Any]:
    if function.hides_tags:
        error = {"ErrorCode": "AccessDeniedException", "Message": "not authorized to perform: lambda:ListTags"}
        return {"Configuration": function.configuration, "Code": {}, "TagsError": error}
    return {"Configuration": function.configuration, "Code": {}, "Tags": function.tags}


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    """Yield a fake that answers at its ``url``, for as long as the context lasts."""
    aws = FakeAws()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"aws": aws}))
    server.daemon_threads = True
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
