"""One serving process: ProfileService, health and reflection on one port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from profile_service.calls import handler
from profile_service.config import DRAIN_SECONDS, MASTER_KEY
from profile_service.errors import TokenSettingsError
from profile_service.first_keys import FirstKeys
from profile_service.guard import Guard
from profile_service.keys.files import secret_from
from profile_service.keys.sealing import MasterKey
from profile_service.logs import LOG
from profile_service.monitor import Monitor
from profile_service.retention import Retention
from profile_service.service import Profiles
from profile_service.servicers import ACCESS_SERVICE, PROFILE_SERVICE, TABLE_SERVICE
from profile_service.servicers.access import AccessCalls
from profile_service.servicers.audit import AuditCalls
from profile_service.servicers.changes import ChangeCalls
from profile_service.servicers.containers import ContainerCalls
from profile_service.servicers.profiles import ProfileCalls
from profile_service.servicers.pseudonyms import PseudonymCalls
from profile_service.servicers.tables import TableCalls
from profile_service.serving import health
from profile_service.serving.calls import Arrivals
from profile_service.serving.keyfile import KeyFile
from profile_service.serving.reflection import reflection_handlers
from profile_service.serving.tls import ServerCertificates
from profile_service.site_keys import SiteKeys
from profile_service.store import Store
from profile_service.store.conninfo import with_password
from profile_service.subjects import Subjects
from profile_service.tables import Tables

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

    from profile_service.access.credentials import Claims
    from profile_service.config import Config
    from profile_service.provider import Provider

# Calls that are carried out at once, or wait for their request or their turn. Most of the
# time of a call is Python, which one core carries out, so more would not be faster. What
# one kind of call waits for takes some of them, never all: see the bounds below, those of
# changes (`store/writers.py`) and those of checks (`service.py`).
THREADS = 256

# How long the request of a call may be on its way, and how many calls wait for theirs at
# once; of more, the one that has waited longest is ended.
REQUEST_SECONDS = 10.0
MAX_CALLS_WITHOUT_REQUEST = 64

# The same for streams of reflection: tools ask their questions within milliseconds.
QUESTION_SECONDS = 30.0
MAX_REFLECTION_STREAMS = 32

# Calls that are accepted at once, those that wait for a thread included; further ones are
# refused with RESOURCE_EXHAUSTED.
MAX_CALLS = 1000

# A text of 1 MiB and what is around it. A text that is a little longer gets the answer
# that says so.
MAX_MESSAGE_BYTES = 2 << 20

SERVER_OPTIONS = (
    # Workers share the port.
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A caller that vanished without a word is noticed after 30 + 10 seconds.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Callers keep their connection between calls, and may ping every ten seconds.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Callers that keep their connections for ever would never meet a replica that was added:
    # with a new connection, they look the name up again. Calls under way are finished.
    ("grpc.max_connection_age_ms", 15 * 60 * 1000),
)


def serve(
    config: Config,
    address: str,
    *,
    may_listen: Callable[[], bool] = lambda: True,
    listening: Callable[[int], None],
    stop: threading.Event,
) -> None:
    """Serves until told to stop.

    A database that does not answer does not keep the service from starting: calls then
    fail with UNAVAILABLE and the health service says NOT_SERVING, until it does.

    Args:
        config: see there.
        address: HOST:PORT to listen on; port 0 takes one that is free.
        may_listen: called when all is ready but the port; False ends it there.
        listening: called with the port, once it is served.
        stop: set to end.

    Raises:
        OSError: the address cannot be listened on, or the certificate not be used.
        InvalidConninfoError: the connection string of the database is malformed.
        SchemaTooNewError: a newer build has used the database.
        StoreFaultError: the database cannot be migrated, for want of a privilege for instance.
        PasswordFileError: the file with its password cannot be used.
        KeyFileError: a file with a key cannot be used.
        TokenSettingsError: tokens cannot be verified as it was said.
        SecretFileError: the master key cannot be read.
    """
    read_token = None if config.provider is None else _reader_of(config.provider)
    certificates = None
    if config.transport.certificate:
        certificates = ServerCertificates(config.transport, LOG)
    sealing = master_key(config)
    with ExitStack() as running:
        conninfo = with_password(config.database, config.password_file)
        store = Store(conninfo, readers=config.readers, writers=config.writers)
        running.callback(store.database.close)
        store.database.open()
        healthiness = health.Health(PROFILE_SERVICE.full_name)
        monitor = Monitor(
            store,
            lambda serving: healthiness.set(serving=serving),
            FirstKeys(config),
            (config.readers, config.writers),
        )
        # Before the first call, so that it finds the schema.
        monitor.look()
        if not may_listen():
            return
        access = AccessCalls(store.access)
        keys, tables = _sealed(config, store, sealing)
        servicers = _servicers(config, store, sealing, keys, tables, access, running)
        retention = Retention(store.audit, store.tables)
        retention.start()
        running.callback(retention.close)
        arrivals = Arrivals(seconds=REQUEST_SECONDS, waiting=MAX_CALLS_WITHOUT_REQUEST)
        running.callback(arrivals.close)
        server = _server(running)
        guard = Guard(store.access, store.audit.record, read_token)
        server.add_generic_rpc_handlers(
            (
                handler(PROFILE_SERVICE, servicers, guard, arrivals),
                handler(TABLE_SERVICE, [TableCalls(tables, keys)], guard, arrivals),
                handler(ACCESS_SERVICE, [access], guard, arrivals),
                healthiness.handler(arrivals),
            )
        )
        if config.reflection:
            server.add_generic_rpc_handlers(_reflection(running))
        port = _listen(server, address, certificates)
        server.start()
        running.callback(lambda: server.stop(DRAIN_SECONDS).wait())
        listening(port)
        # First of all, so that load balancers send what is new elsewhere.
        running.callback(healthiness.shut_down)
        monitor.run(stop)
        LOG.write("drain")


def _server(running: ExitStack) -> grpc.Server:
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="call")
    # Calls that nobody waits for any more are carried out to their end, too: what they use
    # is closed after them.
    running.callback(threads.shutdown)
    return grpc.server(threads, options=SERVER_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)


def master_key(config: Config) -> MasterKey | None:
    """Returns what encrypts secrets; None where there is none.

    Raises:
        SecretFileError: it cannot be read.
    """
    secret = secret_from(config.master_key_file, config.master_key, MASTER_KEY)
    previous = secret_from(config.previous_master_key_file, "", "")
    return None if secret is None else MasterKey(secret, previous)


def _sealed(config: Config, store: Store, sealing: MasterKey | None) -> tuple[SiteKeys, Tables]:
    """Returns what is kept encrypted: the keys of sites, and tables."""
    service_key = KeyFile(Path(config.service_key)) if config.service_key else None
    keys = SiteKeys(store.site_keys, sealing, service_key)
    return keys, Tables(store.tables, store.audit.record, sealing)


def _servicers(
    config: Config,
    store: Store,
    sealing: MasterKey | None,
    keys: SiteKeys,
    tables: Tables,
    access: AccessCalls,
    running: ExitStack,
) -> tuple[object, ...]:
    """Returns what carries out the calls of ProfileService, each a part of them."""
    profiles = Profiles(store.profiles, store.resolutions)
    running.callback(profiles.close)
    of_containers = ContainerCalls(store.containers)
    of_profiles = ProfileCalls(store.profiles, profiles, keys, tables, config.listed_versions)
    of_pseudonyms = PseudonymCalls(keys, Subjects(store.codes, store.audit.record, sealing))
    making = (of_containers, of_profiles, access, of_pseudonyms)
    return (
        of_containers,
        of_profiles,
        ChangeCalls(store.changes, store.containers, keys, tables, *making),
        of_pseudonyms,
        AuditCalls(store.audit),
    )


def _reflection(running: ExitStack) -> Iterable[grpc.GenericRpcHandler]:
    asking = Arrivals(seconds=QUESTION_SECONDS, waiting=MAX_REFLECTION_STREAMS)
    running.callback(asking.close)
    services = (PROFILE_SERVICE, TABLE_SERVICE, ACCESS_SERVICE)
    names = (service.full_name for service in services)
    return reflection_handlers(asking, *names, health.SERVICE_NAME)


def _listen(server: grpc.Server, address: str, certificates: ServerCertificates | None) -> int:
    """Returns the port; raises OSError where the address cannot be listened on."""
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, certificates.credentials())
    except RuntimeError:
        raise OSError(f"Cannot listen on {address}.") from None


def _reader_of(provider: Provider) -> Callable[[str], Claims]:
    """Returns what reads the tokens of a provider."""
    try:
        # Not above: it is an extra of the distribution.
        from profile_service.tokens import Tokens
    except ModuleNotFoundError as error:
        raise TokenSettingsError(
            f"the package {error.name} is not installed: pip install 'deid-cascade[oidc]'"
        ) from None
    return Tokens(provider).claims
