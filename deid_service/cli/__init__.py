"""The `deidcascade` command.

Exit codes: 0 all went well; 1 a file was rejected, a profile is invalid, or a
service refused or did not answer; 2 the command line was wrong.
"""

from __future__ import annotations

import click

from deid_service.cli.apply import apply
from deid_service.cli.connection import keep_proxies_from_local_services
from deid_service.cli.containers import container_group
from deid_service.cli.demo import demo
from deid_service.cli.health import health
from deid_service.cli.preview import preview
from deid_service.cli.profiles import profile_group
from deid_service.cli.up import up
from deid_service.cli.upload import upload


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deid-cascade")
def main() -> None:
    """De-identifies DICOM by the profile that the cascade selects."""
    keep_proxies_from_local_services()


for command in (up, demo, container_group, profile_group, upload, apply, preview, health):
    main.add_command(command)
