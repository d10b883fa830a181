"""What the invoker takes of the settings, in the engine's own words."""

from services.invoker.pool.settings import EngineSettings, NetworkPolicy, SandboxLevel
from shared.process.settings import Settings

KEEP_CONNECTION_S = 30.0
"""How long an invoker may go on calling functions through a cloud connection that was closed."""

PACKAGE_CACHE_BYTES = 4 << 30
"""Unpacked packages kept on this machine's disk; the least recently used go first."""


def engine_settings(settings: Settings) -> EngineSettings:
    """Return the engine's settings."""
    given = settings.engine
    return EngineSettings(
        directory=settings.data.data_dir / "engine",
        stem_cells_node=given.stem_cells_node,
        stem_cells_node16=given.stem_cells_node16,
        stem_cells_node18=given.stem_cells_node18,
        stem_cells_python=given.stem_cells_python,
        max_workers=given.max_workers,
        max_workers_per_function=given.max_workers_per_function,
        max_in_flight_per_function=given.max_in_flight_per_function,
        idle_s=given.idle_s,
        freeze_idle=given.freeze_idle,
        network=NetworkPolicy(given.network),
        minimum_level=SandboxLevel(given.min_sandbox),
        node=given.node,
        node16=given.node16,
        node18=given.node18,
        bwrap=given.bwrap,
    )
