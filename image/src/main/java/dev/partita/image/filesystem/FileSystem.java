package dev.partita.image.filesystem;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/// A file system that is read and never written. Its content is hostile: every answer is bounded,
/// and what contradicts itself is a {@link MalformedFileSystemException}. Not thread-safe.
public abstract sealed class FileSystem permits ExtFileSystem, FatFileSystem {
  /// As Linux bounds it (path_resolution(7)).
  private static final int MAXIMUM_LINKS = 40;

  /// Links are paths; those are at most this long (PATH_MAX).
  private static final int MAXIMUM_LINK = 4096;

  private final Volume volume;

  FileSystem(Volume volume) {
    this.volume = volume;
  }

  /// Where it is.
  public final Volume volume() {
    return volume;
  }

  /// `ext4`, `vfat`, ..., as mount(8) calls it.
  public abstract String type();

  /// By which `root=UUID=` and `search --fs-uuid` name it; empty if it has none.
  public abstract String uuid();

  /// By which `root=LABEL=` names it; empty if it has none.
  public abstract String label();

  /// What a person should know about its state, such as a journal that was read too; or empty.
  public abstract String remark();

  /// The top directory.
  public abstract Node root() throws IOException;

  /// A directory's entries by name, without `.` and `..`.
  public abstract SortedMap<String, Node> list(Node directory) throws IOException;

  /// Whether `A` and `a` name the same.
  protected boolean ignoresCase() {
    return false;
  }

  /// Reads a part of a file's or link's content into an array from its start on.
  ///
  /// @param at where the part begins; it lies within the content
  abstract void read(Node node, long at, byte[] to, int count) throws IOException;

  /// All of a file.
  ///
  /// @param most the bytes that it may have
  /// @throws MalformedFileSystemException when it has more
  public final byte[] content(Node file, int most) throws IOException {
    if (file.size() > most) {
      throw new MalformedFileSystemException(
          "%s: a file of %d bytes, where %d are the most"
              .formatted(volume.name(), file.size(), most));
    }
    byte[] bytes = new byte[(int) file.size()];
    read(file, 0, bytes, bytes.length);
    return bytes;
  }

  /// A file's first bytes.
  ///
  /// @param count how many, of those that there are
  public final byte[] start(Node file, int count) throws IOException {
    byte[] bytes = new byte[(int) Math.min(count, file.size())];
    read(file, 0, bytes, bytes.length);
    return bytes;
  }

  /// Copies a file.
  ///
  /// @param most the bytes that it may have
  public final void copy(Node file, java.io.OutputStream to, long most) throws IOException {
    if (file.size() > most) {
      throw new MalformedFileSystemException(
          "%s: a file of %d bytes, where %d are the most"
              .formatted(volume.name(), file.size(), most));
    }
    byte[] part = new byte[1 << 20];
    for (long at = 0; at < file.size(); at += part.length) {
      int count = (int) Math.min(part.length, file.size() - at);
      read(file, at, part, count);
      to.write(part, 0, count);
    }
  }

  /// Finds what a path names, through symbolic links, which cannot lead out of the file system.
  ///
  /// @return empty when there is nothing
  public final Optional<Node> find(String path) throws IOException {
    Deque<String> left = new ArrayDeque<>(parts(path));
    Deque<Node> place = new ArrayDeque<>(List.of(root()));
    int links = 0;
    while (!left.isEmpty()) {
      String part = left.removeFirst();
      if (part.equals("..")) {
        if (place.size() > 1) {
          place.removeLast();
        }
        continue;
      }
      Node here = place.getLast();
      if (here.kind() != Node.Kind.DIRECTORY) {
        return Optional.empty();
      }
      Node next = child(here, part);
      if (next == null) {
        return Optional.empty();
      }
      if (next.kind() == Node.Kind.LINK) {
        if (++links > MAXIMUM_LINKS) {
          throw new MalformedFileSystemException(
              "%s: %s leads through too many symbolic links".formatted(volume.name(), path));
        }
        String target = new String(content(next, MAXIMUM_LINK), StandardCharsets.UTF_8);
        if (target.startsWith("/")) {
          place.clear();
          place.add(root());
        }
        List<String> steps = parts(target);
        for (int i = steps.size() - 1; i >= 0; i--) {
          left.addFirst(steps.get(i));
        }
        continue;
      }
      place.addLast(next);
    }
    return Optional.of(place.getLast());
  }

  /// A directory's entry of a name; null when there is none.
  protected @Nullable Node child(Node directory, String name) throws IOException {
    SortedMap<String, Node> entries = list(directory);
    Node exact = entries.get(name);
    if (exact != null || !ignoresCase()) {
      return exact;
    }
    for (var entry : entries.entrySet()) {
      if (entry.getKey().equalsIgnoreCase(name)) {
        return entry.getValue();
      }
    }
    return null;
  }

  private static List<String> parts(String path) {
    return java.util.Arrays.stream(path.split("/"))
        .filter(part -> !part.isEmpty() && !part.equals("."))
        .toList();
  }
}
