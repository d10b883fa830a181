"""
What may go wrong at a cloud that functions are deployed to.

``PlatformError``
├── ``NotConnectedError``           cloud.not_connected    the project has no cloud, or none that may be used
├── ``CloudDeniedError``            cloud.denied           the cloud does not let our role do that
├── ``CloudRefusedError``           cloud.refused          the cloud does not take what was asked
├── ``UnavailableError``
│   └── ``CloudUnavailableError``   cloud.unavailable      the cloud cannot do that now, or is out of reach
└── ``NotFoundError``
    └── ``CloudFunctionGoneError``  cloud.function_gone    deleted at the cloud, behind our back
"""

from shared.domain.errors import Kind, NotFoundError, PlatformError, UnavailableError

FAILED_ISSUE = "failed"
"""``issue`` of what a cloud took and then could not do."""


class CloudFunctionGoneError(NotFoundError):
    """The function is not at its cloud any more."""

    code = "cloud.function_gone"


class NotConnectedError(PlatformError):
    """There is no cloud to act in: ``issue`` is ``none`` or ``not active``."""

    code, kind = "cloud.not_connected", Kind.INVALID


class CloudDeniedError(PlatformError):
    """The role we have at a cloud may not do that. ``details`` is the cloud's text, ``suggestion`` what to mend."""

    code, kind = "cloud.denied", Kind.FORBIDDEN


class CloudRefusedError(PlatformError):
    """A cloud does not take what was asked, or could not make it. ``details`` and ``suggestion`` as above."""

    code, kind = "cloud.refused", Kind.INVALID


class CloudUnavailableError(UnavailableError):
    """
    A cloud is out of reach, out of order, or asked too much; another time it may be better.

    ``details`` is the cloud's text, if it said anything, ``suggestion`` what to do.
    """

    code = "cloud.unavailable"
