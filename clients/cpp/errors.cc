#include "errors.h"

#include <google/protobuf/util/time_util.h>

#include <sstream>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace {

const char* CodeName(grpc::StatusCode code) {
  constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && code <= grpc::UNAUTHENTICATED ? kNames[code] : "UNKNOWN";
}

}  // namespace

std::string Describe(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  std::string reason;
  std::ostringstream more;
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info)) {
      reason = " (" + info.reason() + ")";
    } else if (detail.UnpackTo(&bad)) {
      for (const auto& item : bad.field_violations()) {
        more << "\n  " << item.field() << ": " << item.description();
      }
    } else if (detail.UnpackTo(&retry)) {
      const auto milliseconds =
          google::protobuf::util::TimeUtil::DurationToMilliseconds(retry.retry_delay());
      more << "\n  retry in " << milliseconds / 1000.0 << " s";
    }
  }
  return CodeName(status.error_code()) + reason + ": " + status.error_message() + more.str();
}
