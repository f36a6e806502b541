package dev.partita.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;

/// A file of the host. Native memory goes to and from it without a copy.
final class HostFile implements DiskFile {
  /// The JDK copies heap memory through a native buffer that it keeps for each thread: pieces keep
  /// that buffer small.
  private static final long HEAP_PIECE = 1 << 20;

  /// The most a Java buffer can hold, in whole pages.
  private static final long LARGEST_PIECE = 1 << 30;

  private final FileHolders.Held held;
  private final FileChannel channel;
  private final Object resizing = new Object();
  private final AtomicBoolean closed = new AtomicBoolean();

  private HostFile(FileHolders.Held held) {
    this.held = held;
    this.channel = held.channel;
  }

  /// Opens a file: for writing as its only holder, or for reading beside other readers.
  ///
  /// @throws DiskException when someone else holds it; the message tells who
  static HostFile open(Path path, boolean writable) throws IOException {
    return new HostFile(FileHolders.hold(path, writable));
  }

  /// Makes a file that must not be there yet, and opens it for writing.
  static HostFile create(Path path) throws IOException {
    try {
      Files.createFile(path);
    } catch (java.nio.file.FileAlreadyExistsException e) {
      throw new DiskException(path + ": is there already", e);
    }
    return open(path, true);
  }

  Path path() {
    return held.path;
  }

  @Override
  public String name() {
    return held.path.toString();
  }

  @Override
  public boolean readOnly() {
    return !held.writable;
  }

  @Override
  public long size() throws IOException {
    return channel.size();
  }

  @Override
  public void read(long offset, MemorySegment to) throws IOException {
    try {
      long most = to.isNative() ? LARGEST_PIECE : HEAP_PIECE;
      for (long done = 0; done < to.byteSize(); ) {
        var piece = buffer(to, done, most);
        int count = channel.read(piece, offset + done);
        if (count < 0) {
          throw new DiskException(
              "%s: ends within what must be there (offset %#x, file %#x)"
                  .formatted(name(), offset + done, size()));
        }
        done += count;
      }
    } catch (ClosedChannelException e) {
      throw closed(e);
    }
  }

  @Override
  public void write(long offset, MemorySegment from) throws IOException {
    try {
      long most = from.isNative() ? LARGEST_PIECE : HEAP_PIECE;
      for (long done = 0; done < from.byteSize(); ) {
        done += channel.write(buffer(from, done, most), offset + done);
      }
    } catch (ClosedChannelException e) {
      throw closed(e);
    }
  }

  private static ByteBuffer buffer(MemorySegment segment, long from, long most) {
    return segment.asSlice(from, Math.min(most, segment.byteSize() - from)).asByteBuffer();
  }

  private DiskException closed(ClosedChannelException e) {
    return new DiskException(
        name() + ": the file was closed, by an interrupt of a thread that used it perhaps", e);
  }

  @Override
  public void resize(long size) throws IOException {
    synchronized (resizing) {
      long now = channel.size();
      if (size < now) {
        channel.truncate(size);
      } else if (size > now) {
        channel.write(ByteBuffer.allocate(1), size - 1);
      }
    }
  }

  @Override
  public void force() throws IOException {
    try {
      channel.force(false); // fdatasync(2): the size is included, times are not
    } catch (ClosedChannelException e) {
      throw closed(e);
    }
  }

  @Override
  public boolean punches() {
    return held.handle != null && held.handle.punches();
  }

  @Override
  public boolean punch(long offset, long length) {
    return length == 0 || held.handle != null && held.handle.punch(offset, length);
  }

  @Override
  public void reserve(long offset, long length) throws IOException {
    if (held.handle != null) {
      try {
        held.handle.reserve(offset, length);
      } catch (IOException e) {
        throw new DiskException(name() + ": " + e.getMessage(), e);
      }
    }
  }

  @Override
  public long nextData(long offset) throws IOException {
    return held.handle == null ? offset : held.handle.nextData(offset, size());
  }

  @Override
  public long nextHole(long offset) throws IOException {
    return held.handle == null ? size() : held.handle.nextHole(offset, size());
  }

  @Override
  public void close() throws IOException {
    if (closed.compareAndSet(false, true)) {
      FileHolders.release(held);
    }
  }
}
