"""Where a command finds its configuration: a folder with one TOML file for each program."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from remote_signing.cli.output import fail

# Imported where they are needed: `--help` and `serve` should not wait for a database library.
if TYPE_CHECKING:
    from collections.abc import Iterator

    from remote_signing.rssp.config import RsspConfig
    from remote_signing.rssp.deps import Services
    from remote_signing.rssp.registration import RegistrationAuthority
    from remote_signing.sam.config import SamConfig

DEFAULT_FOLDER = Path("/etc/remote-signing")

# The options that many commands share.
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
AuthorityKey = Annotated[
    Path | None,
    typer.Option("--ra-key", help="Key file of the registration authority [CONFIG/ra.key]."),
]


@dataclass(frozen=True, slots=True)
class ConfigFolder:
    """The files in the folder that ``--config`` names."""

    path: Path

    @property
    def rssp_file(self) -> Path:
        """Of ``remote_signing.rssp``."""
        return self.path / "rssp.toml"

    @property
    def sam_file(self) -> Path:
        """Of ``remote_signing.sam``."""
        return self.path / "sam.toml"

    @property
    def consent_file(self) -> Path:
        """Of ``consent_app``."""
        return self.path / "consent.toml"

    @property
    def sim_file(self) -> Path:
        """Of ``sim_adapter``; where there is none, no SIM is asked."""
        return self.path / "sim.toml"

    @property
    def authority_key_file(self) -> Path:
        """A development registration authority's key; a real authority keeps its own elsewhere."""
        return self.path / "ra.key"

    def rssp(self) -> RsspConfig:
        """The rssp's configuration."""
        from remote_signing.rssp.config import load

        return load(_there(self.rssp_file))

    def sam(self) -> SamConfig:
        """The SAM's configuration."""
        from remote_signing.sam.config import load

        return load(_there(self.sam_file))

    @contextmanager
    def services(self) -> Iterator[Services]:
        """Database and SAM of the rssp's configuration, closed afterwards."""
        from remote_signing.rssp import migrations
        from remote_signing.rssp.deps import open_services

        services = open_services(self.rssp())
        try:
            migrations.check(services.database)
            yield services
        finally:
            services.close()

    def authority(self, key_file: Path | None) -> RegistrationAuthority:
        """The registration authority whose key is in ``key_file``, else in the folder."""
        from remote_signing.rssp.registration import (
            RegistrationAuthority,
        )

        path = key_file or self.authority_key_file
        if not path.exists():
            raise fail(f"no registration-authority key at {path}: `remote-signing ra init`", 2)
        return RegistrationAuthority.load(path)


def folder_of(context: typer.Context) -> ConfigFolder:
    """The folder that the command line names."""
    return cast("ConfigFolder", context.obj)


def _there(path: Path) -> Path:
    if not path.exists():
        raise fail(f"no configuration at {path}: name its folder with --config", 2)
    return path
