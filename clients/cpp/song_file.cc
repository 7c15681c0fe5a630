#include "song_file.h"

#include <openssl/evp.h>

#include <fstream>
#include <iomanip>
#include <sstream>
#include <stdexcept>

namespace {

std::string Sha256Hex(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  std::ostringstream hex;
  hex << std::hex << std::setfill('0');
  for (unsigned int i = 0; i < size; ++i) hex << std::setw(2) << static_cast<int>(digest[i]);
  return hex.str();
}

}  // namespace

const acestep::gateway::v1::Song* SongFile::Add(
    const acestep::gateway::v1::GenerateMusicResponse& response) {
  if (response.has_audio_start()) bytes_.clear();
  if (response.has_audio()) bytes_ += response.audio().data();
  if (!response.has_song()) return nullptr;
  const auto& song = response.song();
  if (song.has_error()) throw std::runtime_error(song.error().message());
  if (Sha256Hex(bytes_) != song.audio_sha256()) throw std::runtime_error("the song arrived damaged");
  return &song;
}

void SongFile::Write(const std::string& path) const {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(bytes_.data(), static_cast<std::streamsize>(bytes_.size())).flush()) {
    throw std::runtime_error(path + ": cannot be written");
  }
}
