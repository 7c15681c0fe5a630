package example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** What a failed call tells, read from its {@code google.rpc.Status}. */
final class Failure {
  private Failure() {}

  /** A line each: code, stable reason and message; bad fields; when the same request may succeed. */
  static String describe(StatusRuntimeException failed) {
    String reason = "";
    List<String> more = new ArrayList<>();
    String message = Objects.requireNonNullElse(failed.getStatus().getDescription(), "");
    try {
      for (Any detail : StatusProto.fromThrowable(failed).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          reason = " (" + detail.unpack(ErrorInfo.class).getReason() + ")";
        } else if (detail.is(BadRequest.class)) {
          for (var item : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            more.add("\n  " + item.getField() + ": " + item.getDescription());
          }
        } else if (detail.is(RetryInfo.class)) {
          more.add("\n  retry in "
              + Durations.toSecondsAsDouble(detail.unpack(RetryInfo.class).getRetryDelay()) + " s");
        }
      }
    } catch (InvalidProtocolBufferException | IllegalArgumentException error) {
      more.add("\n  (its details cannot be read)");
    }
    if (failed.getCause() != null) { // of a connection that could not be made
      more.add("\n  " + failed.getCause().getMessage());
    }
    return failed.getStatus().getCode() + reason + ": " + message + String.join("", more);
  }
}
