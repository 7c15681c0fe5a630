#include "options.h"

#include <getopt.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace {

constexpr char kUsage[] =
    "usage: generate --caption TEXT [--lyrics TEXT] [--duration SECONDS] [--seed NUMBER]\n"
    "    [--output FILE] [--cancel-after SECONDS] [--timeout SECONDS] [--address HOST:PORT]\n"
    "    [--tls] [--tls-ca FILE] [--tls-certificate FILE --tls-key FILE]\n"
    "ACESTEP_ADDRESS and ACESTEP_TOKEN are read from the environment.\n";

constexpr int kMaxMessageBytes = 16 * 1024 * 1024;

// gRPC tries again only calls to which nothing was answered yet.
constexpr char kRetries[] = R"({"methodConfig": [{
  "name": [{"service": "acestep.gateway.v1.MusicService"}],
  "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s",
                  "backoffMultiplier": 3, "retryableStatusCodes": ["UNAVAILABLE"]}}]})";

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string ReadFile(const std::string& path) {
  if (path.empty()) return "";
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw std::runtime_error(path + ": cannot be read");
  return text.str();
}

// Throws std::logic_error for what is no number as a whole.
template <typename Number>
Number Parsed(const std::string& text, Number (*parse)(const std::string&, std::size_t*)) {
  std::size_t end = 0;
  const Number number = parse(text, &end);
  if (end != text.size()) throw std::invalid_argument(text);
  return number;
}

double ParsedSeconds(const std::string& text) {
  return Parsed<double>(text, [](const std::string& t, std::size_t* end) { return std::stod(t, end); });
}

std::int64_t ParsedSeed(const std::string& text) {
  return Parsed<std::int64_t>(
      text, [](const std::string& t, std::size_t* end) -> std::int64_t { return std::stoll(t, end); });
}

[[noreturn]] void Refuse(const std::string& complaint) {
  std::cerr << complaint << kUsage;
  std::exit(2);
}

}  // namespace

Options ParseOptions(int argc, char** argv) {
  enum {
    kCaption = 1,
    kLyrics,
    kDuration,
    kSeed,
    kOutput,
    kCancelAfter,
    kTimeout,
    kAddress,
    kTls,
    kCa,
    kCertificate,
    kKey
  };
  const option known[] = {
      {"caption", required_argument, nullptr, kCaption},
      {"lyrics", required_argument, nullptr, kLyrics},
      {"duration", required_argument, nullptr, kDuration},
      {"seed", required_argument, nullptr, kSeed},
      {"output", required_argument, nullptr, kOutput},
      {"cancel-after", required_argument, nullptr, kCancelAfter},
      {"timeout", required_argument, nullptr, kTimeout},
      {"address", required_argument, nullptr, kAddress},
      {"tls", no_argument, nullptr, kTls},
      {"tls-ca", required_argument, nullptr, kCa},
      {"tls-certificate", required_argument, nullptr, kCertificate},
      {"tls-key", required_argument, nullptr, kKey},
      {nullptr, 0, nullptr, 0},
  };
  Options options;
  options.address = FromEnvironment("ACESTEP_ADDRESS", "localhost:50050");
  options.token = FromEnvironment("ACESTEP_TOKEN", "");
  try {
    for (int name; (name = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
      switch (name) {
        case kCaption: options.caption = optarg; break;
        case kLyrics: options.lyrics = optarg; break;
        case kDuration: options.duration_seconds = ParsedSeconds(optarg); break;
        case kSeed: options.seed = ParsedSeed(optarg); break;
        case kOutput: options.output = optarg; break;
        case kCancelAfter: options.cancel_after_seconds = ParsedSeconds(optarg); break;
        case kTimeout: options.timeout_seconds = ParsedSeconds(optarg); break;
        case kAddress: options.address = optarg; break;
        case kTls: options.tls = true; break;
        case kCa: options.ca_file = optarg; break;
        case kCertificate: options.certificate_file = optarg; break;
        case kKey: options.key_file = optarg; break;
        default: Refuse("");  // getopt has said what is wrong
      }
    }
  } catch (const std::logic_error&) {
    Refuse(std::string(optarg) + " is not a number\n");
  }
  if (optind < argc) Refuse(std::string("no such option: ") + argv[optind] + "\n");
  return options;
}

std::shared_ptr<grpc::Channel> Connect(const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kRetries);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  auto credentials = grpc::InsecureChannelCredentials();
  if (options.tls || !options.ca_file.empty() || !options.certificate_file.empty() ||
      !options.key_file.empty()) {
    if (options.certificate_file.empty() != options.key_file.empty()) {
      throw std::runtime_error("a certificate and its key must be given together");
    }
    credentials = grpc::SslCredentials(
        {ReadFile(options.ca_file), ReadFile(options.key_file), ReadFile(options.certificate_file)});
  }
  return grpc::CreateCustomChannel(options.address, credentials, arguments);
}
