package dev.partita.image.debian;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;

/// Deletes directories with all that is in them, also what their modes protect from their owner.
final class Trees {
  private Trees() {}

  static void delete(Path root) throws IOException {
    if (Files.isDirectory(root, LinkOption.NOFOLLOW_LINKS)) {
      List<Path> children;
      try {
        children = children(root);
      } catch (AccessDeniedException e) {
        open(root);
        children = children(root);
      }
      for (Path child : children) {
        try {
          delete(child);
        } catch (AccessDeniedException e) {
          open(root);
          delete(child);
        }
      }
    }
    Files.deleteIfExists(root);
  }

  /// As far as it can: what is left, the next one will find.
  static void deleteQuietly(Path root) {
    try {
      delete(root);
    } catch (IOException e) {
      System.getLogger(Trees.class.getName())
          .log(System.Logger.Level.DEBUG, "left for the next time", e);
    }
  }

  private static List<Path> children(Path directory) throws IOException {
    try (Stream<Path> children = Files.list(directory)) {
      return children.toList();
    } catch (NoSuchFileException e) {
      return List.of();
    }
  }

  private static void open(Path directory) throws IOException {
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
  }
}
