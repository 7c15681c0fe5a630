"""What the service tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

from common.music import SAMPLE_RATE_HZ
from dit_service.engine import RenderJob, Song

DEVICE_BUSY = Gauge("acestep_dit_device_busy", "1 while the thread that owns the device works, else 0.")
JOBS_QUEUED = Gauge("acestep_dit_jobs_queued", "Jobs that wait for the device.")
RENDERS_RUNNING = Gauge("acestep_dit_renders_running", "Renders that have the device.")

MEMORY_SHARE = Gauge(
    "acestep_dit_memory_share",
    "Share of the memory for songs that the running jobs take, by estimate; more than 1 never.",
)
MEMORY_BYTES = Gauge(
    "acestep_dit_device_memory_bytes", "Device memory in use, models included; 0 on a CPU."
)

BATCH_SIZE = Histogram(
    "acestep_dit_batch_size",
    "Songs of the same model whose denoising step was due at once.",
    buckets=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32),
)
STEP_SECONDS = Histogram(
    "acestep_dit_step_seconds",
    "Duration of a denoising step of a batch.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_SECONDS = Histogram(
    "acestep_dit_queue_seconds",
    "Seconds that a render waited for the device.",
    buckets=(0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
PHASE_SECONDS = Histogram(
    "acestep_dit_phase_seconds",
    "Time that a render spent in a phase.",
    ["phase"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
STEPS = Counter("acestep_dit_steps_total", "Denoising steps of finished renders.")
AUDIO_SECONDS = Counter("acestep_dit_audio_seconds_total", "Seconds of song rendered.")
REAL_TIME_FACTOR = Histogram(
    "acestep_dit_real_time_factor",
    "Seconds of song rendered in a second on the device, which others may share.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000),
)
CANCELLATIONS = Counter(
    "acestep_dit_cancellations", "Renders that their caller gave up, by what they were doing.", ["phase"]
)
OUT_OF_MEMORY = Counter("acestep_dit_out_of_memory", "Jobs that the device had no memory for.")
BATCHES_SPLIT = Counter(
    "acestep_dit_batches_split", "Times that a step did not fit into memory for all its songs together."
)


def observe(job: RenderJob, song: Song) -> None:
    """Take note of a finished render."""
    spent_s = sum(song.seconds.values())
    for phase, seconds in song.seconds.items():
        PHASE_SECONDS.labels(phase.value).observe(seconds)
    song_s = len(song.waveform) / SAMPLE_RATE_HZ
    STEPS.inc(job.diffusion.inference_steps)
    AUDIO_SECONDS.inc(song_s)
    REAL_TIME_FACTOR.observe(song_s / max(spent_s, 1e-9))
