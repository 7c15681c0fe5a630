// The command line: what to make, where the gateway is, and how it is reached.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

struct Options {
  std::string caption;
  std::string lyrics;
  std::string output = "song.flac";
  std::optional<double> duration_seconds;
  std::optional<std::int64_t> seed;
  std::optional<double> cancel_after_seconds;
  std::optional<double> timeout_seconds;

  std::string address;
  std::string token;
  bool tls = false;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
};

// Exits with 2 for a mistake on the command line.
Options ParseOptions(int argc, char** argv);

// Connects at the first call. Throws std::runtime_error for a file that cannot be read, and for half a pair.
std::shared_ptr<grpc::Channel> Connect(const Options& options);
