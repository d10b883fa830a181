"""
What is wrong with somebody who wants to become a user.

``NameTakenError``
└── ``EmailUsedError``                 user.email_used                 another user has the email
``InvalidRequestError``
└── ``WeakPasswordError``              user.weak_password              no password to be accepted; says why

They never cross the bus: the api alone looks at users.
"""

from shared.domain.errors import InvalidRequestError, NameTakenError


class EmailUsedError(NameTakenError):
    """Another user has that email, however it is written."""

    code = "user.email_used"


class WeakPasswordError(InvalidRequestError):
    """The password is too short or too long."""

    code = "user.weak_password"
