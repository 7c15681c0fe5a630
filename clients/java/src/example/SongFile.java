package example;

import example.acestep.gateway.v1.GenerateMusicResponse;
import example.acestep.gateway.v1.Song;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/** Puts a song's file together from the events of a generation. */
final class SongFile {
  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  /** The song, when the event completes it. Throws {@code IOException} if it failed or arrived damaged. */
  Optional<Song> add(GenerateMusicResponse response) throws IOException {
    if (response.hasAudioStart()) {
      bytes.reset();
    }
    if (response.hasAudio()) {
      response.getAudio().getData().writeTo(bytes);
    }
    if (!response.hasSong()) {
      return Optional.empty();
    }
    Song song = response.getSong();
    if (song.hasError()) {
      throw new IOException(song.getError().getMessage());
    }
    if (!sha256().equals(song.getAudioSha256())) {
      throw new IOException("the song arrived damaged");
    }
    return Optional.of(song);
  }

  void write(Path path) throws IOException {
    Files.write(path, bytes.toByteArray());
  }

  private String sha256() {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.toByteArray()));
    } catch (NoSuchAlgorithmException impossible) { // every Java has it
      throw new AssertionError(impossible);
    }
  }
}
