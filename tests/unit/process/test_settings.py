from pathlib import Path

import pytest

from shared.messages.topology import WORK_QUEUES
from shared.process.settings import LONGEST_TIMEOUT_S, Settings, load_settings, markdown_table
from shared.process.variables import SettingsError, variables

API_KEY = "sl_" + "0" * 64


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_an_empty_environment_gives_every_default() -> None:
    settings = load_settings({})

    assert Settings() == settings
    assert settings.http.host == "127.0.0.1"
    assert settings.database.url is None
    assert Path(".tidemill").absolute() == settings.data.data_dir


def test_every_problem_is_told_at_once_with_variable_value_and_expectation() -> None:
    found = problems({"TIDEMILL_PORT": "99999", "TIDEMILL_NETWORK": "lan", "TIDEMILL_IDLE_S": "nan"})

    assert {
        "TIDEMILL_PORT='99999': expected a whole number from 0 to 65535",
        "TIDEMILL_NETWORK='lan': expected one of none, internet, host",
        "TIDEMILL_IDLE_S='nan': expected a number of seconds from 1 to 86400",
    } == set(found)


def test_a_misspelt_variable_is_refused_and_the_right_one_named() -> None:
    assert problems({"TIDEMILL_PROT": "1"}) == ("TIDEMILL_PROT is not a setting; did you mean TIDEMILL_PORT?",)


def test_variables_of_others_are_none_of_our_business() -> None:
    assert load_settings({"PATH": "/bin", "PORT": "x"}) == Settings()


@pytest.mark.parametrize("name", [variable.name for _, variable in variables(Settings)])
def test_an_empty_variable_is_never_a_silent_default(name: str) -> None:
    (problem,) = problems({name: ""})

    assert problem.startswith(f"{name}=")
    assert "expected" in problem


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"TIDEMILL_MIN_SANDBOX": "none"}, "TIDEMILL_TRUSTED_CODE"),
        ({"TIDEMILL_MAX_WORKERS": "4", "TIDEMILL_MAX_WORKERS_PER_FUNCTION": "5"}, "TIDEMILL_MAX_WORKERS=4"),
        ({"TIDEMILL_S3_ENDPOINT": "http://127.0.0.1:9000"}, "TIDEMILL_S3_URL"),
        ({"TIDEMILL_RATE_LIMIT_KEY_BURST": "16"}, "TIDEMILL_RATE_LIMIT_KEY=1000 a minute: expected 17 "),
        ({"TIDEMILL_RATE_LIMIT_ADDRESS_BURST": "101"}, "to 100"),
        ({"TIDEMILL_TRUSTED_PROXIES": "10.0.0.1/8"}, "10.0.0.0/8"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(environ: dict[str, str], word: str) -> None:
    (problem,) = problems(environ)

    assert word in problem


def test_secrets_are_not_shown_anywhere() -> None:
    environ = {
        "TIDEMILL_ADMIN_PASSWORD": "hunter2",
        "TIDEMILL_ADMIN_API_KEY": API_KEY,
        "TIDEMILL_DATABASE_URL": "postgresql://me:hunter2@db/tidemill",
        "TIDEMILL_AMQP_URL": "amqp://me:hunter2@broker/",
    }
    settings = load_settings(environ)
    shown = repr(settings) + str(settings.shown())

    assert "hunter2" not in shown
    assert API_KEY not in shown
    assert settings.shown()["TIDEMILL_DATABASE_URL"] == "postgresql://me:***@db/tidemill"
    assert settings.database.url is not None
    assert environ["TIDEMILL_DATABASE_URL"] == settings.database.url.reveal()


def test_a_wrong_secret_is_not_shown_in_the_problem() -> None:
    found = problems({"TIDEMILL_ADMIN_API_KEY": "sl_hunter2", "TIDEMILL_AMQP_URL": "http://me:hunter2@broker"})

    assert "hunter2" not in "".join(found)
    assert "TIDEMILL_ADMIN_API_KEY=***: expected sl_ and 64 hex digits" in found


def test_the_table_for_the_documentation_has_every_variable() -> None:
    table = markdown_table()

    for _, variable in variables(Settings):
        assert f"| `{variable.name}` |" in table


def test_the_longest_function_ends_well_before_the_broker_gives_up_on_its_consumer() -> None:
    assert all(queue.consumer_timeout_s > LONGEST_TIMEOUT_S * 1.5 for queue in WORK_QUEUES)
