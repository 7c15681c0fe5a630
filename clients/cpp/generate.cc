// Make a song, show how far it is, and write its file. Ctrl-C cancels it at the server too.

#include <grpcpp/grpcpp.h>

#include <cctype>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>

#include "acestep/gateway/v1/music_service.grpc.pb.h"
#include "canceller.h"
#include "errors.h"
#include "options.h"
#include "song_file.h"

namespace {

namespace pb = acestep::gateway::v1;

constexpr int kExitCancelled = 130;

// A name by which the server knows a request that is sent again.
std::string NewId() {
  std::random_device random;
  std::ostringstream id;
  id << std::hex << std::setfill('0');
  for (int i = 0; i < 4; ++i) id << std::setw(8) << random();
  return id.str();
}

pb::GenerateMusicRequest Request(const Options& options) {
  pb::GenerateMusicRequest request;
  request.set_request_id(NewId());
  request.set_caption(options.caption);
  request.set_lyrics(options.lyrics);
  if (options.duration_seconds) request.set_duration_seconds(*options.duration_seconds);
  if (options.seed) request.mutable_batch()->add_seeds(*options.seed);
  return request;
}

// Prints a line whenever the phase or the percentage changes.
class ProgressPrinter {
 public:
  void Print(const pb::Progress& progress) {
    std::ostringstream head;
    head << std::setw(3) << std::lround(progress.fraction() * 100) << " %  " << PhaseName(progress.phase());
    if (head.str() == last_) return;
    last_ = head.str();
    std::cerr << last_;
    if (progress.has_total_step_count()) {
      std::cerr << " " << progress.step_count() << "/" << progress.total_step_count();
    }
    std::cerr << std::endl;
  }

 private:
  static std::string PhaseName(pb::Phase phase) {
    std::string name = pb::Phase_Name(phase).substr(sizeof("PHASE_") - 1);
    for (char& letter : name) letter = static_cast<char>(std::tolower(letter));
    return name;
  }

  std::string last_;
};

grpc::Status Generate(const Options& options, grpc::ClientContext& call, Canceller& canceller) {
  const auto stub = pb::MusicService::NewStub(Connect(options));
  const auto stream = stub->GenerateMusic(&call, Request(options));
  pb::GenerateMusicResponse response;
  SongFile file;
  ProgressPrinter printer;
  bool written = false;
  while (stream->Read(&response)) {
    if (response.has_accepted() && options.cancel_after_seconds) {
      canceller.CancelIn(*options.cancel_after_seconds);
    }
    if (response.has_progress()) printer.Print(response.progress());
    const pb::Song* song = file.Add(response);
    if (song == nullptr) continue;
    file.Write(options.output);
    written = true;
    std::cout << options.output << ": " << song->actual_duration_seconds() << " s, seed "
              << song->seeds().dit_seed() << std::endl;
  }
  grpc::Status status = stream->Finish();
  if (status.ok() && !written) throw std::runtime_error("no song came");
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = ParseOptions(argc, argv);
  grpc::ClientContext call;
  if (!options.token.empty()) call.AddMetadata("authorization", "Bearer " + options.token);
  if (options.timeout_seconds) {
    const std::chrono::duration<double> timeout(*options.timeout_seconds);
    call.set_deadline(std::chrono::system_clock::now() +
                      std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  }
  Canceller canceller(call);
  try {
    const grpc::Status status = Generate(options, call, canceller);
    if (status.ok()) return 0;
    if (canceller.cancelled() && status.error_code() == grpc::CANCELLED) {
      std::cerr << "cancelled" << std::endl;
      return kExitCancelled;
    }
    std::cerr << Describe(status) << std::endl;
  } catch (const std::runtime_error& error) {
    std::cerr << error.what() << std::endl;
  }
  return 1;
}
