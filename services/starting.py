"""How any start that fails says why in a line instead of a traceback. Imports little: every command goes through it."""

import sys
from collections.abc import Callable, Mapping

from shared.domain.errors import PlatformError
from shared.process.settings import Settings, SettingsError, load_settings
from shared.process.supervise import CannotStartError

_CANNOT_START = 1
_BAD_SETTINGS = 2


def with_settings(environ: Mapping[str, str], run: Callable[[Settings], int]) -> int:
    """Load the settings and run; whatever keeps it from starting is said on standard error, in words."""
    try:
        return run(load_settings(environ))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _BAD_SETTINGS
    except PlatformError as error:
        print(f"tidemill: cannot start: {error.message}", file=sys.stderr)
    except (CannotStartError, OSError) as error:
        print(f"tidemill: cannot start: {error}", file=sys.stderr)
    return _CANNOT_START
