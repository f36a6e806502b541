package dev.partita.image.archive;

import dev.partita.image.FileTree;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.IdentityHashMap;
import java.util.Map;

/// Writes a file tree as a cpio archive in the "newc" format, the one that the Linux kernel
/// unpacks into its root (Documentation/driver-api/early-userspace/buffer-format.rst).
///
/// The same tree always gives the same bytes: entries come in the tree's order, owners are root,
/// and every time is that of {@link #TIME}.
public final class CpioWriter {
  /// The modification time of everything, in seconds since 1970: 2026-01-01T00:00:00Z.
  public static final long TIME = 1_767_225_600L;

  private static final int DIRECTORY = 0040000;
  private static final int REGULAR = 0100000;
  private static final int SYMBOLIC_LINK = 0120000;
  private static final int CHARACTER_DEVICE = 0020000;
  private static final int BLOCK_DEVICE = 0060000;
  private static final String TRAILER = "TRAILER!!!";
  private static final byte[] ZEROS = new byte[4];
  private static final byte[] EMPTY = new byte[0];

  private final OutputStream out;
  private long position;
  private int inodes;

  private CpioWriter(OutputStream out) {
    this.out = out;
  }

  private static final class Links {
    final int inode;
    final int count;
    int written;

    Links(int inode, int count) {
      this.inode = inode;
      this.count = count;
    }
  }

  /// Writes the whole archive, with its end mark, to `out`, which the caller closes.
  ///
  /// @return bytes written, a multiple of 512 as other programs write it
  public static long write(FileTree tree, OutputStream out) throws IOException {
    CpioWriter writer = new CpioWriter(out);
    writer.all(tree);
    return writer.position;
  }

  private void all(FileTree tree) throws IOException {
    Map<FileTree.RegularFile, Integer> names = new IdentityHashMap<>();
    for (FileTree.Node node : tree.nodes().values()) {
      if (node instanceof FileTree.RegularFile file) {
        names.merge(file, 1, Integer::sum);
      }
    }
    Map<FileTree.RegularFile, Links> linked = new IdentityHashMap<>();
    for (Map.Entry<String, FileTree.Node> e : tree.nodes().entrySet()) {
      String path = e.getKey();
      switch (e.getValue()) {
        case FileTree.Directory(int mode) ->
            entry(path, DIRECTORY | mode, ++inodes, 2, 0, 0, EMPTY);
        case FileTree.SymbolicLink(String target) ->
            entry(
                path,
                SYMBOLIC_LINK | 0777,
                ++inodes,
                1,
                0,
                0,
                target.getBytes(StandardCharsets.ISO_8859_1));
        case FileTree.Device(boolean block, int mode, int major, int minor) ->
            entry(
                path,
                (block ? BLOCK_DEVICE : CHARACTER_DEVICE) | mode,
                ++inodes,
                1,
                major,
                minor,
                EMPTY);
        case FileTree.RegularFile file -> {
          int count = names.getOrDefault(file, 1);
          Links links = linked.computeIfAbsent(file, f -> new Links(++inodes, count));
          // Of a file with several names the last one carries the content, as GNU cpio does it.
          boolean last = ++links.written == links.count;
          byte[] content = last ? file.content() : EMPTY;
          entry(path, REGULAR | file.mode(), links.inode, links.count, 0, 0, content);
        }
      }
    }
    entry(TRAILER, 0, 0, 1, 0, 0, EMPTY);
    pad(512);
  }

  private void entry(
      String name, int mode, int inode, int links, int major, int minor, byte[] content)
      throws IOException {
    byte[] bytes = name.getBytes(StandardCharsets.ISO_8859_1);
    StringBuilder header = new StringBuilder(110).append("070701");
    boolean trailer = name.equals(TRAILER);
    long[] fields = {
      inode,
      mode,
      0,
      0,
      links,
      trailer ? 0 : TIME,
      content.length,
      0,
      0,
      major,
      minor,
      bytes.length + 1,
      0
    };
    for (long field : fields) {
      String hex = Long.toHexString(field);
      header.append("0".repeat(8 - hex.length())).append(hex);
    }
    put(header.toString().getBytes(StandardCharsets.US_ASCII));
    put(bytes);
    out.write(0);
    position++;
    pad(4);
    put(content);
    pad(4);
  }

  private void put(byte[] bytes) throws IOException {
    out.write(bytes);
    position += bytes.length;
  }

  private void pad(int unit) throws IOException {
    int missing = (int) (-position & (unit - 1));
    position += missing;
    for (; missing > 0; missing -= ZEROS.length) {
      out.write(ZEROS, 0, Math.min(missing, ZEROS.length));
    }
  }
}
