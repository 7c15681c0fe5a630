"""What the gateway counts. Nothing a user wrote is ever a label."""

from prometheus_client import Counter, Gauge, Histogram

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
UPLOADS_LIMIT_BYTES = Gauge(
    "acestep_gateway_uploads_limit_bytes", "Bytes of uploaded audio that may be kept."
)

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

STAGE_SECONDS = Histogram(
    "acestep_rpc_client_call_duration_seconds",
    "Duration of calls to a stage, queue included, by status code.",
    ["stage", "code"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200),
)
SONG_SECONDS = Histogram(
    "acestep_gateway_song_seconds",
    "Time that a song took after its plan, queues included.",
    buckets=(0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200),
)
REAL_TIME_FACTOR = Histogram(
    "acestep_gateway_real_time_factor",
    "Seconds of song that a caller got for a second of waiting, queues included.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250),
)
ENCODE_SECONDS = Histogram(
    "acestep_gateway_encode_seconds",
    "Time that the encoding of a song's file took.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

STAGE_QUEUED = Gauge(
    "acestep_gateway_stage_queued", "Pieces of work that wait to enter a stage.", ["stage"]
)
UNREAD_BYTES = Gauge("acestep_gateway_unread_bytes", "Bytes of finished songs that wait for their readers.")


def observe_song(duration_s: float, waited_s: float, encoding_s: float) -> None:
    """Take note of a song that was made."""
    SONG_SECONDS.observe(waited_s)
    REAL_TIME_FACTOR.observe(duration_s / max(waited_s, 1e-9))
    ENCODE_SECONDS.observe(encoding_s)
