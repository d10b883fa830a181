"""
Catalogues of the Gateways dialect: the runtimes, providers, regions and kinds of resources that may be named.

They say what may be asked for, not what this machine or an account can run: a cloud refuses what it has stopped
offering. An inactive runtime may still be named; it is not told of unless asked (contracts/gateways.md sections 3.9
and 6). Every number is the row's for ever: append, never reorder.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaRuntime:
    """A runtime by its AWS Lambda name. ``distro`` is the Amazon Linux it brings, where the name says so."""

    number: int
    code: str
    name: str
    language: str
    family: str
    version: str | None
    distro: str | None
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudProvider:
    """Where functions may be; ``is_active`` is whether this platform can bring them there."""

    number: int
    name: str
    title: str
    is_active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region of a provider."""

    number: int
    provider: str
    code: str
    name: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """A kind of thing that environments hold; only active ones can be made."""

    number: int
    subtype: str
    title: str
    is_active: bool


_LANGUAGES = {
    "nodejs": ("javascript", "Node.js"),
    "python": ("python", "Python"),
    "java": ("java", "Java"),
    "dotnet": ("csharp", ".NET"),
    "go": ("go", "Go"),
    "ruby": ("ruby", "Ruby"),
    "provided": ("custom", "Custom runtime"),
}
_RUNTIMES = (
    ("nodejs20.x", "nodejs", "20", None, True),
    ("nodejs18.x", "nodejs", "18", None, True),
    ("nodejs16.x", "nodejs", "16", None, False),
    ("python3.12", "python", "3.12", None, True),
    ("python3.11", "python", "3.11", None, True),
    ("python3.10", "python", "3.10", None, True),
    ("python3.9", "python", "3.9", None, False),
    ("java21", "java", "21", None, True),
    ("java17", "java", "17", None, True),
    ("java11", "java", "11", None, True),
    ("java8.al2", "java", "8", "al2", False),
    ("dotnet8", "dotnet", "8", None, True),
    ("dotnet6", "dotnet", "6", None, True),
    ("go1.x", "go", "1.x", None, True),
    ("ruby3.2", "ruby", "3.2", None, True),
    ("ruby2.7", "ruby", "2.7", None, True),
    ("provided.al2023", "provided", None, "al2023", True),
    ("provided.al2", "provided", None, "al2", True),
)


def _runtime(number: int, row: tuple[str, str, str | None, str | None, bool]) -> LambdaRuntime:
    code, family, version, distro, is_active = row
    language, title = _LANGUAGES[family]
    return LambdaRuntime(
        number=number,
        code=code,
        name=" ".join(part for part in (title, version, f"({distro})" if distro else None) if part),
        language=language,
        family=family,
        version=version,
        distro=distro,
        is_active=is_active,
    )


LAMBDA_RUNTIMES: Mapping[str, LambdaRuntime] = {
    row[0]: _runtime(number, row) for number, row in enumerate(_RUNTIMES, 1)
}
"""Every runtime that may be named, by code."""

LANGUAGES = tuple(dict.fromkeys(language for language, _ in _LANGUAGES.values()))
FAMILIES = tuple(_LANGUAGES)

PROVIDERS: Mapping[str, CloudProvider] = {
    provider.name: provider
    for provider in (
        CloudProvider(number=1, name="aws", title="Amazon Web Services", is_active=True),
        CloudProvider(number=2, name="gcp", title="Google Cloud Platform", is_active=False),
        CloudProvider(number=3, name="azure", title="Microsoft Azure", is_active=False),
        CloudProvider(number=4, name="local", title="This installation", is_active=True),
    )
}
"""Every provider, by name."""

_AWS_REGIONS = (
    ("us-east-1", "US East", "N. Virginia"),
    ("us-east-2", "US East", "Ohio"),
    ("us-west-1", "US West", "N. California"),
    ("us-west-2", "US West", "Oregon"),
    ("af-south-1", "Africa", "Cape Town"),
    ("ap-east-1", "Asia Pacific", "Hong Kong"),
    ("ap-northeast-1", "Asia Pacific", "Tokyo"),
    ("ap-northeast-2", "Asia Pacific", "Seoul"),
    ("ap-northeast-3", "Asia Pacific", "Osaka"),
    ("ap-south-1", "Asia Pacific", "Mumbai"),
    ("ap-south-2", "Asia Pacific", "Hyderabad"),
    ("ap-southeast-1", "Asia Pacific", "Singapore"),
    ("ap-southeast-2", "Asia Pacific", "Sydney"),
    ("ap-southeast-3", "Asia Pacific", "Jakarta"),
    ("ap-southeast-4", "Asia Pacific", "Melbourne"),
    ("ca-central-1", "Canada", "Central"),
    ("ca-west-1", "Canada West", "Calgary"),
    ("eu-central-1", "Europe", "Frankfurt"),
    ("eu-central-2", "Europe", "Zurich"),
    ("eu-north-1", "Europe", "Stockholm"),
    ("eu-south-1", "Europe", "Milan"),
    ("eu-south-2", "Europe", "Spain"),
    ("eu-west-1", "Europe", "Ireland"),
    ("eu-west-2", "Europe", "London"),
    ("eu-west-3", "Europe", "Paris"),
    ("il-central-1", "Israel", "Tel Aviv"),
    ("me-central-1", "Middle East", "UAE"),
    ("me-south-1", "Middle East", "Bahrain"),
    ("sa-east-1", "South America", "Sao Paulo"),
)
AWS_REGIONS: Mapping[str, Region] = {
    code: Region(number=number, provider="aws", code=code, name=f"{area} ({place})", location=place)
    for number, (code, area, place) in enumerate(_AWS_REGIONS, 1)
}
"""The regions of AWS that every partition but the isolated ones has, by code."""

LOCAL_REGIONS: Mapping[str, Region] = {
    "local": Region(number=1001, provider="local", code="local", name="This installation", location="Here")
}
"""Where functions on our own machines are; for those any region of AWS may be named too, and means nothing."""


def regions_of(provider: str) -> Mapping[str, Region]:
    """Return the regions of a provider, by code."""
    return {"aws": AWS_REGIONS, "local": LOCAL_REGIONS}.get(provider, {})


_RESOURCE_TYPES = (
    "instance",
    "database",
    "storage_bucket",
    "static_website",
    "firewall",
    "cache_server",
    "load_balancer",
    "application",
    "terminal",
    "cdn",
    "queue",
    "function",
)
RESOURCE_TYPES: Mapping[str, ResourceType] = {
    subtype: ResourceType(
        number=number,
        subtype=subtype,
        title=subtype.replace("_", " ").capitalize(),
        is_active=subtype == "function",
    )
    for number, subtype in enumerate(_RESOURCE_TYPES, 1)
}
"""Every kind of resource the dialect's pages name, by subtype; this platform makes functions."""
