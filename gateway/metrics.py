"""What the gateway counts. Nothing a user wrote is ever a label."""

from prometheus_client import Counter, Gauge

SONGS = Counter("acestep_gateway_songs_total", "Songs that ended, by gRPC status code.", ["code"])
AUDIO_SECONDS = Counter(
    "acestep_gateway_audio_seconds_total", "Seconds of songs made, by tenant.", ["tenant"]
)
QUOTA_REFUSALS = Counter(
    "acestep_gateway_quota_refusals_total",
    "Requests above a quota, by tenant and quota.",
    ["tenant", "quota"],
)
SONGS_RUNNING = Gauge("acestep_gateway_songs_running", "Songs taken on and not ended.")
UPLOADED_BYTES = Gauge("acestep_gateway_uploaded_bytes", "Bytes of uploaded audio that are kept.")

REPLICA_ADMITTED = Gauge(
    "acestep_gateway_replica_admitted",
    "1 while a replica of a stage is given work, 0 while it is not.",
    ["stage", "replica"],
)
REPLICA_WORK = Gauge(
    "acestep_gateway_replica_work_seconds",
    "Seconds of song that a replica is asked for at this moment.",
    ["stage", "replica"],
)
RETRIES = Counter(
    "acestep_gateway_stage_retries_total",
    "Calls that a lost replica left unfinished and another was given.",
    ["stage"],
)
STAGE_QUEUED = Gauge(
    "acestep_gateway_stage_queued", "Pieces of work that wait to enter a stage.", ["stage"]
)
UNREAD_BYTES = Gauge("acestep_gateway_unread_bytes", "Bytes of finished songs that wait for their readers.")
