#pragma once

#include <grpcpp/support/status.h>

#include <string>

// All that a failed call says, a line each: code, stable reason, message, bad fields, and when the
// same request may succeed. The details are those of `google.rpc.Status`.
std::string Describe(const grpc::Status& status);
