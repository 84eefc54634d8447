"""Every setting of every process, read once from the environment (prefix `ORDERLOG_`).

The same variables point at the local stack, at containers, or at production: nothing else in the
code knows where Kafka, PostgreSQL or the mail server are.
"""

import os
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.runtime.complaint import Complaint

STAGES = ("intake", "inventory", "routing", "fulfillment", "notifications", "returns")


class Settings(BaseSettings):
    """Defaults suit the local stack; production sets what differs."""

    model_config = SettingsConfigDict(env_prefix="ORDERLOG_", extra="ignore", frozen=True)

    # Where things are.
    home: Path = Path(".orderlog")
    """Folder of the local stack: data, logs, secrets. Unused in production."""
    kafka: str = "127.0.0.1:19092"
    """Bootstrap servers, comma separated."""
    database_url: SecretStr = SecretStr("postgresql://orderlog@127.0.0.1:15432/{database}")
    """DSN with the literal placeholder `{database}`, filled with `orderlog_<stage>`, `orderlog_console`
    or `orderlog_keyring`."""
    postgres_port: int = 15432
    """Port of the PostgreSQL that `orderlog up` starts. Unused in production."""
    smtp_host: str = "127.0.0.1"
    """The mail server."""
    smtp_port: int = 10025
    """Its port."""
    smtp_timeout_seconds: float = Field(default=30.0, gt=0, le=30.0)
    """For one mail; at most half of the time for which it is claimed."""
    smtp_connections_max: int = Field(default=4, ge=1)
    """Connections that one process keeps to it."""
    mail_from: str = "Orderlog <orders@shop.example>"
    """Who mails are from."""

    # Secrets: files, so that they can be mounted and never show in a process list.
    jwt_key_file: Path = Path(".orderlog/secrets/jwt.json")
    """JSON Web Key (JWK) that signs (local) and verifies bearer tokens."""
    master_key_file: Path = Path(".orderlog/secrets/master.key")
    """32 random bytes, base64: wraps the keyring's keys."""

    # HTTP edge.
    http_host: str = "127.0.0.1"
    """The address that a process listens on."""
    http_port: int = 0
    """0 takes the service's place in the row that begins at `http_port_base`."""
    http_port_base: int = 18080
    """The first stage's port; the others follow."""
    replicas: str = ""
    """Processes of a service that `orderlog up` runs, where not one, as in `inventory=2,routing=3`. Unused in
    production."""
    stage_url: str = ""
    """Where the console reaches a stage's edge, with the literal placeholder `{stage}`, as in
    `http://orderlog-{stage}`. Empty: this machine, on the stages' ports."""
    wait_seconds_max: float = Field(default=30.0, gt=0)
    """Upper bound of `Prefer: wait=N`."""
    head_bytes_max: int = Field(default=65_536, ge=1024)
    """A request whose head is not whole after so many bytes gets 431."""
    head_seconds_max: float = Field(default=10.0, gt=0)
    """One whose head is not whole so long after its first byte gets 408; a connection without is closed."""
    body_bytes_max: int = Field(default=1_048_576, ge=1)
    """A request body larger than this gets 413."""
    body_seconds_max: float = Field(default=30.0, gt=0)
    """One that is not here so long after its head gets 408."""
    answer_seconds_max: float = Field(default=30.0, gt=0)
    """A connection whose client takes hardly anything for so long of what is written for it is cut."""
    requests_max: int = Field(default=1000, ge=1)
    """Requests that one process answers at a time, the console's streams counted; more get 429. Probes always
    pass."""
    requests_bytes_max: int = Field(default=32 * 1_048_576, ge=1)
    """Their bodies together, as announced; more get 429."""
    waiting_max: int = Field(default=256, ge=1)
    """Requests that may wait for their outcome (`Prefer: wait`); more get 429."""
    commands_in_flight_max: int = Field(default=2000, ge=1)
    """Commands of requests that Kafka has not stored yet; more get 429."""
    commands_in_flight_bytes_max: int = Field(default=32 * 1_048_576, ge=1)
    """Their bytes; more get 429."""
    retry_after_seconds: int = Field(default=2, ge=1)
    """What Retry-After says with 429 and 503."""

    # The console: who signs in.
    console_url: str = ""
    """Where people's browsers reach the console, as in `https://orders.example`: the issuer sends them back
    there, and where it is https, cookies go by https only. Mails to customers then hold a link to their
    order. Empty: this machine, on the console's port, and no link in mails."""
    oidc_issuer: str = ""
    """The OpenID Connect issuer that people sign in at; its discovery document is below it. Empty: nobody
    can, unless `development_issuer` is on."""
    oidc_client_id: str = "orderlog-console"
    """What the issuer knows the console as."""
    oidc_client_secret_file: Path | None = None
    """The client's secret. Without one the console is a public client; PKCE is used either way."""
    oidc_scope: str = "openid profile"
    """What is asked of the issuer."""
    oidc_actor_claim: str = "sub"
    """The claim of the ID token that names the person on everything they do."""
    oidc_tenant_claim: str = "tenant"
    """The claim that says whose data they see."""
    oidc_role_claim: str = "role"
    """The claim that names their role, or several, of which the first that the console knows counts."""
    oidc_nodes_claim: str = "nodes"
    """The claim that lists the nodes they see. Who has none sees all."""
    development_issuer: bool = False
    """An issuer inside the console at which everybody may sign in as anybody, without a password. For the
    local stack; never where others reach it."""
    oidc_timeout_seconds: float = Field(default=10.0, gt=0, le=60)
    """For one request to the issuer."""
    session_seconds: float = Field(default=43_200, gt=0)
    """A person signs in again after so long."""
    session_idle_seconds: float = Field(default=7_200, gt=0)
    """Or after so long without a page."""

    # The console: what it waits for, and how many it tells.
    console_wait_seconds: int = Field(default=10, ge=1, le=30)
    """How long a page waits for the outcome of a person's command; the request itself may take 5 s more."""
    console_connect_seconds: float = Field(default=3.0, gt=0, le=30)
    """For a new connection to a stage's edge."""
    console_probe_seconds: float = Field(default=8.0, gt=0, le=30)
    """For what Platform asks of a stage or of Kafka; what does not answer by then is shown as silent."""
    console_freshness_seconds: float = Field(default=5.0, gt=0, le=30)
    """For Kafka and the database to tell how far the read models are."""
    console_silent_seconds: float = Field(default=20.0, gt=0, le=300)
    """When neither has told for so long, pages say that nobody knows how old they are."""
    page_streams_max: int = Field(default=500, ge=1)
    """Open pages that one process tells of changes; more get 503 and look by themselves."""
    event_streams_max: int = Field(default=100, ge=1)
    """Streams of events (`GET /v1/events` and of one order) that one process serves; more get 429."""

    # The stage loop.
    partitions: int = Field(default=4, ge=1)
    """Lanes. The same for every topic of the lifecycle; never changed after the first record."""
    batch_records_max: int = Field(default=500, ge=1)
    """Records that a transaction takes at most."""
    poll_records_max: int = Field(default=2_000, ge=1)
    """Records that a poll takes at most: of several batches, each is planned while another is written."""
    record_bytes_max: int = Field(default=1_048_576, ge=1)
    """A Kafka record value larger than this is parked, its bytes kept."""
    batch_bytes_max: int = Field(default=4 * 1_048_576, ge=1)
    """What a poll brings beyond this is decided in several transactions."""
    session_timeout_seconds: float = Field(default=30.0, gt=0)
    """After so long without a heartbeat a process is replaced. Kafka's own default minimum is 6."""
    poll_interval_seconds_max: float = Field(default=300.0, gt=0)
    """A process that takes nothing for so long, as its database does not answer, gives up its lanes."""
    stop_seconds: float = Field(default=10.0, gt=0)
    """How long SIGTERM waits for the batch in hand, its publication and the requests that are answered."""
    leave_seconds: float = Field(default=3.0, gt=0)
    """And then for leaving its group, and for closing each of its connections."""
    probe_seconds_max: float = Field(default=2.0, gt=0)
    """For the database to answer /readyz, or Kafka /broker."""
    stuck_seconds_max: float = Field(default=60.0, gt=0)
    """A process whose work fails unforeseen for so long says so at /livez, to be started again."""
    scrub_share: float = Field(default=0.005, ge=0, le=1)
    """Of a processor core, to read the stage's log again in the background, against its anchors; 0: never."""
    halted_retry_seconds: float = Field(default=60.0, gt=0)
    """How often a halted lane is tried again."""
    lock_timeout_seconds: float = Field(default=5.0, gt=0)
    """A statement that waits longer for a lock is given up; its batch is tried again."""
    statement_timeout_seconds: float = Field(default=30.0, gt=0)
    """A statement that runs longer is given up; a transaction may be idle as long."""
    connect_timeout_seconds: float = Field(default=10.0, gt=0)
    """For a new connection to PostgreSQL, or one of the pool's to become free."""
    kafka_timeout_seconds: float = Field(default=10.0, gt=0)
    """For one request of a reader to Kafka, which is then made again; joining a group may take a session
    longer."""
    publish_timeout_seconds: float = Field(default=15.0, gt=0)
    """What Kafka has not acknowledged by then has failed, and is published again or answered with 503."""
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    """For one record that is read again from its topic, and for a topic that is read to its end to go on."""
    retry_seconds_min: float = Field(default=0.2, gt=0)
    """A batch that waits for its database is tried again after so long, then after twice as long, …; what
    Kafka did not take, always after so long."""
    retry_seconds_max: float = Field(default=10.0, gt=0)
    """… and never after longer than this. Attempts are not counted: nothing is dropped."""
    timer_retry_seconds: float = Field(default=60.0, gt=0)
    """A timer whose decision failed is due again after so long."""
    effect_retry_seconds_max: float = Field(default=900.0, ge=1)
    """A mail that cannot be sent now is tried again after two seconds, then after twice as long, …, never
    after longer than this; one that failed unforeseen, after just this."""
    parts_kept_max: int = Field(default=4000, ge=1)
    """Streams whose state a process keeps decoded, so that it need not read them again."""
    backdate_days_max: int = Field(default=400, ge=0)
    """How many days ago a reported fact (`effective_at`) may have been true; what says more is refused."""
    parked_keys_max: int = Field(default=1000, ge=0)
    """With more parked keys in a lane the stage halts it; /readyz, `orderlog status` and a metric tell."""
    key_cache_seconds: float = Field(default=60.0, ge=0)
    """How long a data subject's key may be used after it was read; erasure is complete after it."""
    pool_size: int = Field(default=4, ge=2)
    """Connections of a process to its database, and as many to the keyring where it needs one."""

    fetch_bytes_min: int = Field(default=1, ge=1)
    """A poll waits for so many bytes, or for `fetch_wait_ms`: who only follows reads more at once."""
    fetch_wait_ms: int = Field(default=2_000, ge=1)
    """The longest that it waits for them."""
    gather_seconds: float = Field(default=0.04, ge=0, le=1)
    """Polls of a busy stage are twice as far apart as a batch takes, at most so long: a batch of one costs
    nearly what one of fifty does. 0: as soon as there is anything."""
    gather_seconds_min: float = Field(default=0.005, ge=0, le=1)
    """The least; and what it is while somebody, and not a hundred, waits for an outcome at its edge."""
    ahead_seconds_max: float = Field(default=5.0, ge=0)
    """A stage takes no new commands while what it decided would keep the stage behind it busy for longer, at
    that one's pace. 0: it takes them however far it is ahead."""
    fetch_bytes_max: int = Field(default=8 * 1_048_576, ge=1_048_576)
    """What is fetched ahead of all topics together, and so kept in memory while the stage is busy."""
    relay_bytes_max: int = Field(default=16 * 1_048_576, ge=1)
    """What is kept in memory to be published; beyond it, it is read from the log again."""
    nice: int = Field(default=0, ge=0, le=19)
    """How far this process yields the processor to others of its machine; 0 not at all."""

    log_level: str = "info"
    """debug, info, warning, error or critical."""
    log_json: bool = True
    """One JSON object a line; otherwise for people."""
    traces: Literal["off", "console"] = "off"
    """Where spans go. The W3C trace context travels on every record either way."""

    def dsn(self, database: str) -> str:
        """DSN of one of the product's databases, e.g. `dsn("intake")`."""
        return self.database_url.get_secret_value().format(database=f"orderlog_{database}")

    def port(self, service: str) -> int:
        """HTTP port of a service: `http_port`, or base + its place in (stages…, console)."""
        if self.http_port:
            return self.http_port
        return self.http_port_base + (*STAGES, "console").index(service)


def stack_env(home: Path) -> Path:
    """The file in which `orderlog up` leaves what it chose (ports, DSN with password, key files)."""
    return home / "stack.env"


@cache
def settings() -> Settings:
    """The environment; what it does not set comes from the local stack's file, where there is one.

    Complaint: a variable has a value that does not do.
    """
    home = Path(os.environ.get("ORDERLOG_HOME", ".orderlog"))
    try:
        return Settings(_env_file=stack_env(home))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = "ORDERLOG_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Complaint(
            f"{name} is set to {first['input']!r}, which does not do: {first['msg']}.",
            f"Correct it in the environment (or in {stack_env(home)}, if it is set there).",
        ) from None
