package example;

import example.acestep.gateway.v1.BatchParams;
import example.acestep.gateway.v1.GenerateMusicRequest;
import example.acestep.gateway.v1.MusicServiceGrpc;
import example.acestep.gateway.v1.Progress;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Makes a song, shows how far it is, and writes its file. Ctrl-C cancels it at the server too. */
public final class Generate {
  private static final int FAILED = 1;
  private static final int MISUSED = 2;
  private static final int CANCELLED = 130;

  private final Options options;
  private final Context.CancellableContext call = Context.current().withCancellation();
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final CountDownLatch ended = new CountDownLatch(1);
  private String shown = "";

  private Generate(Options options) {
    this.options = options;
  }

  public static void main(String[] arguments) {
    System.exit(new Generate(parsed(arguments)).run());
  }

  private static Options parsed(String[] arguments) {
    try {
      return new Options(arguments);
    } catch (IllegalArgumentException error) {
      System.err.println(error.getMessage() + "\n" + Options.USAGE);
      System.exit(MISUSED);
      throw error; // never: the line above does not return
    }
  }

  private int run() {
    cancelAtCtrlC();
    try {
      call.run(this::generate);
      return 0;
    } catch (StatusRuntimeException failed) {
      boolean cancelled = failed.getStatus().getCode() == Status.Code.CANCELLED && call.isCancelled();
      System.err.println(cancelled ? "cancelled" : Failure.describe(failed));
      return cancelled ? CANCELLED : FAILED;
    } catch (Broken broken) {
      System.err.println(broken.getMessage());
      return FAILED;
    } finally {
      timer.shutdownNow();
      ended.countDown();
    }
  }

  /** Java ends with exit code 130 after this, once the server has been told. */
  private void cancelAtCtrlC() {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      call.cancel(null);
      try {
        ended.await(2, TimeUnit.SECONDS);
      } catch (InterruptedException impatient) {
        Thread.currentThread().interrupt();
      }
    }));
  }

  private void generate() {
    ManagedChannel channel = null;
    try {
      channel = Reach.channel(options);
      var stub = MusicServiceGrpc.newBlockingStub(channel).withInterceptors(Reach.token());
      if (options.has("timeout")) {
        stub = stub.withDeadlineAfter(millis("timeout"), TimeUnit.MILLISECONDS);
      }
      var responses = stub.generateMusic(request());
      var file = new SongFile();
      boolean written = false;
      while (responses.hasNext()) {
        var response = responses.next();
        if (response.hasAccepted() && options.has("cancel-after")) {
          timer.schedule(() -> call.cancel(null), millis("cancel-after"), TimeUnit.MILLISECONDS);
        }
        if (response.hasProgress()) {
          show(response.getProgress());
        }
        var song = file.add(response);
        if (song.isPresent()) {
          var path = Path.of(options.text("output", "song.flac"));
          file.write(path);
          written = true;
          System.out.printf(Locale.ROOT, "%s: %.1f s, seed %d%n", path,
              song.get().getActualDurationSeconds(), song.get().getSeeds().getDitSeed());
        }
      }
      if (!written) {
        throw new IOException("no song came");
      }
    } catch (IOException | IllegalArgumentException error) { // of a file, a song, or a certificate
      throw new Broken(error);
    } finally {
      if (channel != null) {
        channel.shutdown();
      }
    }
  }

  /** It names itself: by its id the server knows a request that is sent again. */
  private GenerateMusicRequest request() {
    var request = GenerateMusicRequest.newBuilder()
                      .setRequestId(UUID.randomUUID().toString())
                      .setCaption(options.text("caption", ""))
                      .setLyrics(options.text("lyrics", ""));
    if (options.has("duration")) {
      request.setDurationSeconds(options.number("duration"));
    }
    if (options.has("seed")) {
      request.setBatch(BatchParams.newBuilder().addSeeds(Long.parseLong(options.text("seed", ""))));
    }
    return request.build();
  }

  /** A line whenever the phase or the percentage changes. */
  private void show(Progress progress) {
    String phase = progress.getPhase().name().replaceFirst("PHASE_", "").toLowerCase(Locale.ROOT);
    String head = String.format(Locale.ROOT, "%3.0f %%  %s", progress.getFraction() * 100, phase);
    if (head.equals(shown)) {
      return;
    }
    shown = head;
    String steps = progress.hasTotalStepCount()
        ? " " + progress.getStepCount() + "/" + progress.getTotalStepCount()
        : "";
    System.err.println(head + steps);
  }

  private long millis(String option) {
    return Math.round(options.number(option) * 1000);
  }

  /** Something else than the call went wrong. */
  private static final class Broken extends RuntimeException {
    Broken(Exception cause) {
      super(cause.getMessage(), cause);
    }
  }
}
