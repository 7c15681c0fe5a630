// Puts a song's file together from the events of a generation.
#pragma once

#include <string>

#include "acestep/gateway/v1/music_service.pb.h"

class SongFile {
 public:
  // The song, when `response` completes it, else null. Throws std::runtime_error if it failed or
  // arrived damaged.
  const acestep::gateway::v1::Song* Add(const acestep::gateway::v1::GenerateMusicResponse& response);

  // Throws std::runtime_error if it cannot be written.
  void Write(const std::string& path) const;

 private:
  std::string bytes_;
};
