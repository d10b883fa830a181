"""
What is wrong with a signed request, and with an authorization that shall become tokens.

``UnauthenticatedError``
├── ``UnsignedRequestError``           access.unsigned                 no application has signed it
├── ``UnknownConsumerError``           access.unknown_consumer         no such OAuth 1.0 application
├── ``UnknownSignedTokenError``        access.unknown_signed_token     no such token, or another application's
├── ``WrongSignatureError``            access.wrong_signature          also malformed, or out of time
└── ``ReusedNonceError``               access.reused_nonce             seen before with this timestamp
``InvalidRequestError``
├── ``UnknownApplicationError``        access.unknown_application      asked for an authorization of it
├── ``InvalidCallbackError``           access.invalid_callback         a redirect URI it has not registered
├── ``UnsupportedResponseTypeError``   access.unsupported_response_type
├── ``UnknownAuthorizationError``      access.unknown_authorization    or used before, or another application's
├── ``ExpiredAuthorizationError``      access.expired_authorization
├── ``WrongVerifierError``             access.wrong_verifier           does not fit the code's challenge
└── ``MissingVerifierError``           access.missing_verifier

They never cross the bus: the api alone looks at credentials.
"""

from shared.domain.errors import InvalidRequestError, UnauthenticatedError


class UnsignedRequestError(UnauthenticatedError):
    """The request must be signed by an application and is not."""

    code = "access.unsigned"


class UnknownConsumerError(UnauthenticatedError):
    """No OAuth 1.0 application has that consumer key."""

    code = "access.unknown_consumer"


class UnknownSignedTokenError(UnauthenticatedError):
    """An OAuth 1.0 token nobody issued to this application, or a removed one."""

    code = "access.unknown_signed_token"


class WrongSignatureError(UnauthenticatedError):
    """The signature is not that of these secrets over this request, is malformed, or was made too long ago."""

    code = "access.wrong_signature"


class ReusedNonceError(UnauthenticatedError):
    """A request with this nonce and timestamp was taken before: it is a copy of that one."""

    code = "access.reused_nonce"


class UnknownApplicationError(InvalidRequestError):
    """No OAuth2 application has the client id an authorization is asked for."""

    code = "access.unknown_application"


class InvalidCallbackError(InvalidRequestError):
    """The redirect URI is not one of those the application has registered."""

    code = "access.invalid_callback"


class UnsupportedResponseTypeError(InvalidRequestError):
    """An authorization can give a code and nothing else."""

    code = "access.unsupported_response_type"


class UnknownAuthorizationError(InvalidRequestError):
    """An authorization code nobody issued to this application, or one that was used before."""

    code = "access.unknown_authorization"


class ExpiredAuthorizationError(InvalidRequestError):
    """An authorization code past its time."""

    code = "access.expired_authorization"


class WrongVerifierError(InvalidRequestError):
    """The PKCE verifier does not fit the challenge the code was issued for."""

    code = "access.wrong_verifier"


class MissingVerifierError(InvalidRequestError):
    """The code was issued for a PKCE challenge, and no verifier is shown."""

    code = "access.missing_verifier"
