package dev.partita.image;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/// A guest's file tree in memory, from which a RAM disk is written. Nothing of it ever touches the
/// host's file system, so that a hostile link in a package leads nowhere but within the tree.
///
/// Paths are relative to the guest's root with `/` between components, as in `etc/fstab`; one
/// `char` is one byte (ISO 8859-1), as Linux names are bytes. Missing parents appear as
/// directories of mode 0755, and a parent that is a symbolic link is followed within the tree, so
/// that `lib/x` lands in `usr/lib/x` where `lib` is a link to `usr/lib`. A later node replaces an
/// earlier one of the same path, except that a directory stays what it is. Not thread-safe.
public final class FileTree {
  /// Linux gives up on a path after 40 symbolic links (path_resolution(7)).
  private static final int MAXIMUM_LINKS = 40;

  private final TreeMap<String, Node> nodes = new TreeMap<>();

  /// One thing in the tree. The permission bits are 0 to 07777.
  public sealed interface Node {}

  /// A directory.
  public record Directory(int mode) implements Node {}

  /// A regular file. The same object under two paths is one file with two names (a hard link).
  public static final class RegularFile implements Node {
    private final int mode;
    private final byte[] content;

    /// @param content the file's bytes; not copied, and not to be changed any more
    public RegularFile(int mode, byte[] content) {
      this.mode = mode;
      this.content = content;
    }

    public int mode() {
      return mode;
    }

    /// The file's bytes, not a copy.
    public byte[] content() {
      return content;
    }
  }

  /// A symbolic link, which is stored and not followed.
  public record SymbolicLink(String target) implements Node {}

  /// A character or block device.
  ///
  /// @param major 0 to 4095
  /// @param minor 0 to 1048575
  public record Device(boolean block, int mode, int major, int minor) implements Node {}

  /// Puts a node at `path`.
  ///
  /// @throws ImageException when the path is none, or leads through something that is no directory
  public void put(String path, Node node) throws ImageException {
    String place = placeOf(path);
    Node present = nodes.get(place);
    if (present instanceof Directory && !(node instanceof Directory)) {
      throw new ImageException("%s is a directory and cannot become a file".formatted(path));
    }
    if (present instanceof SymbolicLink && node instanceof Directory) {
      return; // a package's lib/ where lib is a link: dpkg keeps the link, and so do we
    }
    nodes.put(place, node);
  }

  public void directory(String path, int mode) throws ImageException {
    put(path, new Directory(mode));
  }

  public void file(String path, int mode, byte[] content) throws ImageException {
    put(path, new RegularFile(mode, content));
  }

  public void symbolicLink(String path, String target) throws ImageException {
    put(path, new SymbolicLink(target));
  }

  /// Gives the file at `existing` the further name `path`.
  public void hardLink(String path, String existing) throws ImageException {
    Node node = nodes.get(placeOf(existing));
    if (!(node instanceof RegularFile)) {
      throw new ImageException(
          "%s is a hard link to %s, which is no file".formatted(path, existing));
    }
    put(path, node);
  }

  /// What is at `path`, where a parent may be a symbolic link; null when there is nothing.
  public @Nullable Node get(String path) throws ImageException {
    return nodes.get(placeOf(path));
  }

  /// All nodes by their path, in an order that puts a directory before what is in it.
  public SortedMap<String, Node> nodes() {
    return Collections.unmodifiableSortedMap(nodes);
  }

  /// The path with the links among its parents followed, and those parents present.
  private String placeOf(String path) throws ImageException {
    Deque<String> left = new ArrayDeque<>(components(path));
    if (left.isEmpty()) {
      throw new ImageException("a file needs a name");
    }
    Deque<String> place = new ArrayDeque<>();
    int links = 0;
    while (left.size() > 1) {
      String part = left.removeFirst();
      if (part.equals("..")) {
        place.pollLast(); // the root's parent is the root
        continue;
      }
      place.addLast(part);
      String parent = String.join("/", place);
      switch (nodes.get(parent)) {
        case null -> nodes.put(parent, new Directory(0755));
        case Directory d -> {}
        case SymbolicLink(String target) -> {
          if (++links > MAXIMUM_LINKS) {
            throw new ImageException("%s leads through too many symbolic links".formatted(path));
          }
          if (target.startsWith("/")) {
            place.clear();
          } else {
            place.removeLast();
          }
          List<String> parts = components(target);
          for (int i = parts.size() - 1; i >= 0; i--) {
            left.addFirst(parts.get(i));
          }
        }
        case RegularFile f -> throw new ImageException("%s: %s is a file".formatted(path, parent));
        case Device d -> throw new ImageException("%s: %s is a device".formatted(path, parent));
      }
    }
    String last = left.removeFirst();
    if (last.equals("..")) {
      throw new ImageException("%s ends in ..".formatted(path));
    }
    place.addLast(last);
    return String.join("/", place);
  }

  private static List<String> components(String path) {
    return Arrays.stream(path.split("/")).filter(p -> !p.isEmpty() && !p.equals(".")).toList();
  }
}
