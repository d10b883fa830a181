"""
The file a new function starts with, so that it answers before anybody has written a line.

Made from the runtime and the handler alone; it answers 200 with a JSON body that has a message and the event. What
is written in Java, .NET and Go is source: AWS Lambda takes the package and fails when it is called, until somebody
puts what the compiler made of it there. ``warning_of`` says so.
"""

import json
import re
from collections.abc import Callable

from shared.packages.handlers import Handler, Language, parse_handler

MESSAGE = "This function works. Replace this file with code of your own."
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_SOURCE_ONLY = {
    Language.JAVA: "Java",
    Language.DOTNET: ".NET",
    Language.GO: "Go",
}


def starter_files(runtime: str, handler: str) -> dict[str, str]:
    """
    Return the first files of a function: text by path.

    Raises:
        InvalidRequestError: the handler is not of the runtime's form.
    """
    parsed = parse_handler(runtime, handler)
    return {parsed.file: _STARTERS[parsed.language](parsed)}


def warning_of(runtime: str, handler: str) -> str | None:
    """Return what a caller should know about the first files of such a function, if anything."""
    language = parse_handler(runtime, handler).language
    if language in _SOURCE_ONLY:
        return (
            f"the starter is {_SOURCE_ONLY[language]} source and is not compiled: the function fails when it is called "
            "until a compiled package is put in its place at the cloud itself, since uploads here keep text files alone"
        )
    if language is Language.PROVIDED:
        return "the function runs once a package with the program bootstrap is uploaded"
    return None


def _node(handler: Handler) -> str:
    function = f"""async (event) => ({{
  statusCode: 200,
  headers: {{ 'Content-Type': 'application/json' }},
  body: JSON.stringify({{ message: '{MESSAGE}', event }}),
}})"""
    first, *rest = handler.members
    for name in reversed(rest):
        function = f"{{ {json.dumps(name)}: {function} }}"
    at = f".{first}" if _IDENTIFIER.fullmatch(first) else f"[{json.dumps(first)}]"
    return f"exports{at} = {function};\n"


def _python(handler: Handler) -> str:
    return f"""import json


def {handler.members[0]}(event, context):
    return {{
        "statusCode": 200,
        "headers": {{"Content-Type": "application/json"}},
        "body": json.dumps({{"message": "{MESSAGE}", "event": event}}),
    }}
"""


def _ruby(handler: Handler) -> str:
    within = f"self.{handler.members[0]}" if handler.owner else handler.members[0]
    lines = [
        f"def {within}(event:, context:)",
        "  {",
        "    statusCode: 200,",
        "    headers: { 'Content-Type' => 'application/json' },",
        f"    body: JSON.generate({{ message: '{MESSAGE}', event: event }})",
        "  }",
        "end",
    ]
    # Outer modules first: "A::B" needs A to be there already.
    names = handler.owner.split("::") if handler.owner else []
    for depth, name in enumerate(reversed(names)):
        lines = [f"{'module' if depth else 'class'} {name}", *(f"  {line}" for line in lines), "end"]
    return "\n".join(["require 'json'", "", *lines, ""])


def _java(handler: Handler) -> str:
    method = handler.members[0]
    package = f"package {handler.space};\n\n" if handler.space else ""
    own = f"""
    public Map<String, Object> {method}(Map<String, Object> event, Context context) {{
        return handleRequest(event, context);
    }}
"""
    # Java 8 is the oldest that Lambda has, and compiles this, too.
    return f"""{package}import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;

public class {handler.owner} implements RequestHandler<Map<String, Object>, Map<String, Object>> {{
    @Override
    public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {{
        Map<String, Object> answer = new HashMap<>();
        answer.put("statusCode", 200);
        answer.put("headers", Collections.singletonMap("Content-Type", "application/json"));
        answer.put("body", "{{\\"message\\": \\"{MESSAGE}\\", \\"event\\": " + json(event) + "}}");
        return answer;
    }}
{"" if method == "handleRequest" else own}
    private static String json(Object value) {{
        StringBuilder text = new StringBuilder();
        if (value instanceof Map) {{
            for (Map.Entry<?, ?> each : ((Map<?, ?>) value).entrySet()) {{
                text.append(text.length() == 0 ? "" : ", ");
                text.append(quoted(each.getKey())).append(": ").append(json(each.getValue()));
            }}
            return "{{" + text + "}}";
        }}
        if (value instanceof Iterable) {{
            for (Object each : (Iterable<?>) value) {{
                text.append(text.length() == 0 ? "" : ", ").append(json(each));
            }}
            return "[" + text + "]";
        }}
        return value == null || value instanceof Number || value instanceof Boolean
            ? String.valueOf(value) : quoted(value);
    }}

    private static String quoted(Object value) {{
        StringBuilder text = new StringBuilder("\\"");
        for (char each : String.valueOf(value).toCharArray()) {{
            if (each == '"' || each == '\\\\') {{
                text.append('\\\\').append(each);
            }} else if (each < ' ') {{
                text.append(String.format("\\\\u%04x", (int) each));
            }} else {{
                text.append(each);
            }}
        }}
        return text.append('"').toString();
    }}
}}
"""


def _dotnet(handler: Handler) -> str:
    # A file-scoped namespace would be C# 10; this compiles on every version Lambda has had.
    body = f"""public class {handler.owner}
{{
    public object {handler.members[0]}(object input, ILambdaContext context)
    {{
        return new
        {{
            statusCode = 200,
            headers = new Dictionary<string, string> {{ ["Content-Type"] = "application/json" }},
            body = JsonSerializer.Serialize(new {{ message = "{MESSAGE}", @event = input }})
        }};
    }}
}}
"""
    if handler.space:
        inner = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
        body = f"namespace {handler.space}\n{{\n{inner}}}\n"
    return f"""using System.Collections.Generic;
using System.Text.Json;
using Amazon.Lambda.Core;

[assembly: LambdaSerializer(typeof(Amazon.Lambda.Serialization.SystemTextJson.DefaultLambdaJsonSerializer))]

{body}"""


def _go(_handler: Handler) -> str:
    return f"""package main

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-lambda-go/lambda"
)

type response struct {{
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}}

func handle(_ context.Context, event json.RawMessage) (response, error) {{
	body, err := json.Marshal(map[string]any{{
		"message": "{MESSAGE}",
		"event":   event,
	}})
	headers := map[string]string{{"Content-Type": "application/json"}}
	return response{{StatusCode: 200, Headers: headers, Body: string(body)}}, err
}}

func main() {{
	lambda.Start(handle)
}}
"""


def _provided(_handler: Handler) -> str:
    return f"""// A runtime of the family "provided" runs a program named bootstrap at the root of the package.
// Upload a ZIP that has one; this file only says what such a program should answer.
exports.handler = async (event) => ({{
  statusCode: 200,
  headers: {{ 'Content-Type': 'application/json' }},
  body: JSON.stringify({{ message: '{MESSAGE}', event }}),
}});
"""


_STARTERS: dict[Language, Callable[[Handler], str]] = {
    Language.NODE: _node,
    Language.PYTHON: _python,
    Language.RUBY: _ruby,
    Language.JAVA: _java,
    Language.DOTNET: _dotnet,
    Language.GO: _go,
    Language.PROVIDED: _provided,
}
