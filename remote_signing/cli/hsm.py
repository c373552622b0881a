"""``remote-signing hsm``: key ceremonies, and what the nodes are and can do.

PINs come from the files that ``sam.toml`` names; custodians' shares are files too.
"""

# No `from __future__ import annotations`: typer reads annotations at run time.

import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from remote_signing.cli.output import fail, say, show, show_lines, show_table
from remote_signing.cli.settings import AsJson, folder_of
from remote_signing.clock import SystemClock

# The SAM's parts are imported where they are needed: `--help` should not wait for them.
if TYPE_CHECKING:
    from remote_signing.sam.ceremony import Outcome, Services
    from remote_signing.sam.config import NodeConfig, SamConfig

app = typer.Typer(name="hsm", help="The HSM cluster: key ceremony, state, speed.")

Operators = Annotated[
    list[str], typer.Option("--operator", help="Who carries the ceremony out; repeatable.")
]
Witnesses = Annotated[list[str], typer.Option("--witness", help="Who watches; repeatable.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look at everything, make nothing.")]


@app.command("init")
def found(
    context: typer.Context,
    custodians: Annotated[
        list[str], typer.Option("--custodian", help="Who gets a share; repeatable.")
    ],
    threshold: Annotated[int, typer.Option(help="How many custodians recover the keys.")],
    operators: Operators,
    organization: Annotated[str, typer.Option(help="Organisation in the CA's names.")],
    root_name: Annotated[str, typer.Option(help="Common name of the root CA.")],
    issuing_name: Annotated[str, typer.Option(help="Common name of the issuing CA.")],
    out: Annotated[Path, typer.Option(help="New folder for package, shares and transcript.")],
    witnesses: Witnesses = [],
    root_crl_url: Annotated[str | None, typer.Option(help="Where the root's CRL will be.")] = None,
    root_certificate_url: Annotated[
        str | None, typer.Option(help="Where the root's certificate will be.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Found the cluster: its keys into every node, its CA, its recovery package."""
    from remote_signing.sam import ceremony

    config = folder_of(context).sam()
    if config.cluster_file.exists():
        raise fail(f"{config.cluster_file} exists: this SAM has a cluster; join nodes to it")
    plan = ceremony.Foundation(
        nodes=config.nodes,
        lock_folder=_lock_folder(config),
        out_folder=out,
        custodians=custodians,
        threshold=threshold,
        authority=ceremony.AuthorityNames(
            organization=organization,
            root_common_name=root_name,
            issuing_common_name=issuing_name,
            root_crl_url=root_crl_url,
            root_certificate_url=root_certificate_url,
        ),
        operators=operators,
        witnesses=witnesses,
    )
    outcome = ceremony.initialise(plan, SystemClock(), say, dry_run=dry_run)
    if not dry_run:
        _install(outcome.files["cluster.json"], config.cluster_file)
        services = _services(config, config.nodes[0], out / "services-transcript.json")
        made = ceremony.certify_services(
            replace(services, operators=operators, witnesses=witnesses), SystemClock(), say
        )
        files = {"services-transcript.json": made.files["transcript.json"]}
        files["service-keys.json"] = made.files["service-keys.json"]
        outcome = replace(
            outcome, steps=outcome.steps + made.steps, files={**outcome.files, **files}
        )
    _show_outcome(outcome, as_json=as_json)


@app.command("services")
def services(
    context: typer.Context,
    operators: Operators,
    transcript: Annotated[Path, typer.Option(help="New file for the signed transcript.")],
    node: Annotated[str | None, typer.Argument(help="Name of the node [the first].")] = None,
    witnesses: Witnesses = [],
    algorithm: Annotated[str, typer.Option(help="p256, p384, rsa3072 …: of the keys.")] = "p256",
    as_json: AsJson = False,
) -> None:
    """Make or replace the keys of OCSP and time stamps, and the root's CRL; each year."""
    from remote_signing.sam import ceremony

    config = folder_of(context).sam()
    chosen = config.nodes[0] if node is None else _node(config, node)
    plan = replace(
        _services(config, chosen, transcript),
        operators=operators,
        witnesses=witnesses,
        algorithm=algorithm,
    )
    _show_outcome(ceremony.certify_services(plan, SystemClock(), say), as_json=as_json)


@app.command("join")
def join(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="Name of the node in sam.toml.")],
    package: Annotated[Path, typer.Option(help="The cluster's recovery-package.json.")],
    shares: Annotated[list[Path], typer.Option("--share", help="A custodian's file; repeatable.")],
    operators: Operators,
    transcript: Annotated[Path, typer.Option(help="New file for the signed transcript.")],
    witnesses: Witnesses = [],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Bring the cluster's keys into one more node, with shares of enough custodians."""
    from remote_signing.sam import ceremony

    config = folder_of(context).sam()
    plan = ceremony.Accession(
        node=_node(config, node),
        lock_folder=_lock_folder(config),
        cluster_file=config.cluster_file,
        package_file=package,
        shares=shares,
        transcript_file=transcript,
        operators=operators,
        witnesses=witnesses,
    )
    outcome = ceremony.join(plan, SystemClock(), say, dry_run=dry_run)
    _show_outcome(outcome, as_json=as_json)


@app.command("status")
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Look at every node: reachable, mechanisms, keys agree, canary. Exit status 3: one is out."""
    from remote_signing.sam import ceremony
    from remote_signing.sam.cluster import load_cluster

    config = folder_of(context).sam()
    cluster = load_cluster(config.cluster_file)
    nodes = ceremony.status(config.nodes, _lock_folder(config), cluster)
    records = [
        {**asdict(node), "missing_mechanisms": list(node.missing_mechanisms)}
        | {"healthy": node.healthy}
        for node in nodes
    ]
    columns = ("name", "healthy", "reachable", "agrees", "canary", "latency_ms")
    show_table(records, (*columns, "missing_mechanisms", "fault"), as_json=as_json)
    if not all(node.healthy for node in nodes):
        raise typer.Exit(3)


@app.command("discard")
def discard(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="Name of the node in sam.toml.")],
    yes: Annotated[bool, typer.Option("--yes", help="Destroy them.")] = False,
) -> None:
    """Destroy what a ceremony that was cut off left in a node: keys of no cluster of ours."""
    from remote_signing.sam import ceremony
    from remote_signing.sam.cluster import load_cluster

    config = folder_of(context).sam()
    ours = load_cluster(config.cluster_file).cluster_id if config.cluster_file.exists() else None
    found = ceremony.discard_strangers(_node(config, node), _lock_folder(config), ours, destroy=yes)
    for cluster_id, objects in found.items():
        done = f"{objects} objects destroyed" if yes else "keys there; --yes destroys them"
        say(f"{node}: cluster {cluster_id}: {done}")
    if not found:
        say(f"{node}: nothing to discard")


@app.command("merge-revocations")
def merge_revocations(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="With the other host's revoked.ids and .head.")],
) -> None:
    """Take another SAM host's revocation list in: whatever is gone there is gone here."""
    from remote_signing.sam.revocation import HEAD_FILE, IDS_FILE
    from remote_signing.sap import SapClient, UnixAddress

    # The head first: ids that came since are signed by a later one.
    head = (folder / HEAD_FILE).read_bytes()
    ids = (folder / IDS_FILE).read_bytes()
    sam = SapClient(UnixAddress(folder_of(context).sam().socket))
    try:
        say(f"the revocation list has number {sam.merge_revocations(ids, head)}")
    finally:
        sam.close()


@app.command("bench")
def bench(
    context: typer.Context,
    node: Annotated[str | None, typer.Argument(help="Name of the node [the first].")] = None,
    seconds: Annotated[float, typer.Option(help="For each measurement.")] = 1.0,
    algorithm: Annotated[
        list[str], typer.Option(help="Only keys of this one; repeatable [every one].")
    ] = [],
    as_json: AsJson = False,
) -> None:
    """Measure what one process does on one node in a second: the limit of all later figures."""
    from remote_signing.algorithms import ALGORITHMS, algorithm_named
    from remote_signing.sam import ceremony

    config = folder_of(context).sam()
    chosen = config.nodes[0] if node is None else _node(config, node)
    for name in algorithm:
        algorithm_named(name)
    names = algorithm or list(ALGORITHMS)
    rates = ceremony.bench(chosen, _lock_folder(config), seconds, names)
    if as_json:
        show_lines(asdict(rate) for rate in rates)
        return
    for rate in rates:
        name = f"{rate.operation} {rate.algorithm or ''}"
        typer.echo(f"{name:<32} {rate.per_second:>10.1f}/s  ({rate.count} in {seconds:g} s)")


@app.command("development-token")
def development_token(
    folder: Annotated[Path, typer.Argument(help="New folder for the token, its PINs and set-up.")],
    label: Annotated[str, typer.Argument(help="The token's label.")],
    as_json: AsJson = False,
) -> None:
    """Make a SoftHSM token to develop and measure with: no HSM, and no place for real keys."""
    from remote_signing.sam.softhsm import TokenNotMade, make_token

    try:
        token = make_token(folder, label)
    except TokenNotMade as error:
        raise fail(str(error)) from error
    record = {"module": str(token.module), "pin_file": str(token.pin_file)}
    show(record | {"environment": dict(token.environment)}, as_json=as_json)


def _lock_folder(config: "SamConfig") -> Path:
    """The SAM's state folder. Files that another user made there would stop the SAM's workers."""
    config.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = config.state_folder.stat().st_uid
    if owner != os.geteuid():
        raise fail(f"{config.state_folder} is the SAM's, user id {owner}: run this as that user", 2)
    return config.state_folder


def _node(config: "SamConfig", name: str) -> "NodeConfig":
    if name not in {node.name for node in config.nodes}:
        raise fail(f"sam.toml has no node {name!r}", 2)
    return config.node(name)


def _services(config: "SamConfig", node: "NodeConfig", transcript: Path) -> "Services":
    from remote_signing.sam import ceremony

    return ceremony.Services(
        node=node,
        lock_folder=_lock_folder(config),
        cluster_file=config.cluster_file,
        services_file=config.service_keys_file,
        authority=config.authority,
        transcript_file=transcript,
        operators=(),
    )


def _install(made: Path, place: Path) -> None:
    """Put the public cluster file where the SAM's configuration says it is."""
    if made.resolve() != place.resolve():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, place)


def _show_outcome(outcome: "Outcome", *, as_json: bool) -> None:
    """The steps were told while they happened; the result is what is left."""
    cluster = outcome.cluster
    files = {name: str(path) for name, path in outcome.files.items()}
    if as_json:
        show(
            {
                "cluster_id": cluster.cluster_id if cluster else None,
                "steps": list(outcome.steps),
                "files": dict(files),
            },
            as_json=True,
        )
    elif cluster:
        show({"cluster": cluster.cluster_id, **files}, as_json=False)
