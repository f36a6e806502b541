package dev.partita.cli;

import dev.partita.image.ImageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/// Who logs in to a guest, and what it is called.
final class GuestUserOptions {
  @Option(
      names = "--user",
      paramLabel = "NAME",
      defaultValue = "partita",
      description = "Who logs in; root too (default: ${DEFAULT-VALUE}).")
  private String user = "partita";

  @Option(
      names = "--ssh-key",
      paramLabel = "FILE",
      description = "Public keys that the user logs in with over SSH. Repeatable.")
  private List<Path> keys = new ArrayList<>();

  @Option(
      names = "--password",
      arity = "0..1",
      interactive = true,
      echo = false,
      prompt = "Password for the user: ",
      paramLabel = "TEXT",
      description = "A password for the user; asked for when none is given here.")
  private char @Nullable [] password;

  @Option(
      names = "--hostname",
      paramLabel = "NAME",
      defaultValue = "debian",
      description = "The guest's name (default: ${DEFAULT-VALUE}).")
  private String hostname = "debian";

  String user() {
    return user;
  }

  @Nullable String password() {
    return password == null ? null : new String(password);
  }

  String hostname() {
    return hostname;
  }

  /// The keys' lines.
  List<String> keyLines() throws IOException {
    List<String> lines = new ArrayList<>();
    for (Path file : keys) {
      var text = Files.readString(file);
      if (text.contains("PRIVATE KEY")) {
        throw new ImageException(
            file + " is a private key: give the public one, usually " + file + ".pub");
      }
      text.lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty() && !line.startsWith("#"))
          .forEach(lines::add);
    }
    return lines;
  }
}
