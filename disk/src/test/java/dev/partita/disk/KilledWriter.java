package dev.partita.disk;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;

/// The process that {@link KilledProcessTest} starts: works on a disk, and sends itself SIGKILL
/// when it comes to a given change of its file.
///
/// To standard output it writes `.` after each step of its work, `c` when the disk is closed,
/// and, when it lived to its end, how many changes it made.
final class KilledWriter implements DiskFile {
  private static final int SIGKILL = 9;

  /// Within one write(2) a signal is taken between two pages of the page cache.
  private static final int PAGE = 4096;

  private final DiskFile file;
  private final long last;
  private final Where where;
  private long changes;

  /// At what moment of the change the process ends.
  enum Where {
    BEFORE,
    /// After a part of its pages, where it has several; else after it.
    WITHIN
  }

  /// @param arguments the file; the size; its sectors' size; seeds for the places and for the
  ///     steps; what the steps' numbers begin at; how many; at which change it ends, from 1, 0
  ///     for never; and where in that change
  public static void main(String[] arguments) throws IOException {
    var path = Path.of(arguments[0]);
    var workload =
        new DiskWorkload(
            Long.parseLong(arguments[1]),
            Integer.parseInt(arguments[2]),
            true,
            new Random(Long.parseLong(arguments[3])));
    var random = new Random(Long.parseLong(arguments[4]));
    long number = Long.parseLong(arguments[5]);
    int steps = Integer.parseInt(arguments[6]);
    // Not buffered: what is written before the end is in the pipe.
    try (var out = new FileOutputStream(FileDescriptor.out)) {
      var writer =
          new KilledWriter(
              HostFile.open(path, true), Long.parseLong(arguments[7]), Where.valueOf(arguments[8]));
      try (var disk = DiskChain.open(writer, DiskFormat.VHDX, DiskChain.parentsOf(path, 0))) {
        for (int i = 0; i < steps; i++) {
          workload.perform(workload.next(random, number + i), disk);
          out.write('.');
        }
      }
      out.write(("c" + writer.changes).getBytes(StandardCharsets.US_ASCII));
    }
  }

  private KilledWriter(DiskFile file, long last, Where where) {
    this.file = file;
    this.last = last;
    this.where = where;
  }

  @FunctionalInterface
  private interface Change {
    void make() throws IOException;
  }

  private synchronized void change(Change part, Change whole) throws IOException {
    if (++changes != last) {
      whole.make();
      return;
    }
    switch (where) {
      case BEFORE -> {}
      case WITHIN -> part.make();
    }
    kill();
  }

  private static void kill() {
    var linker = Linker.nativeLinker();
    var kill =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("kill"),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    try {
      int result = (int) kill.invokeExact((int) ProcessHandle.current().pid(), SIGKILL);
      throw new IllegalStateException("still here: kill gave " + result);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void write(long offset, MemorySegment from) throws IOException {
    change(
        () -> {
          long pages = (offset + from.byteSize() - 1) / PAGE - offset / PAGE + 1;
          long end = (offset / PAGE + (pages + 1) / 2) * PAGE;
          file.write(offset, from.asSlice(0, Math.min(from.byteSize(), end - offset)));
        },
        () -> file.write(offset, from));
  }

  @Override
  public void resize(long newSize) throws IOException {
    change(() -> file.resize(newSize), () -> file.resize(newSize));
  }

  @Override
  public boolean punch(long offset, long length) throws IOException {
    var done = new boolean[1];
    change(
        () -> file.punch(offset, Math.min(length, PAGE)),
        () -> done[0] = file.punch(offset, length));
    return done[0];
  }

  @Override
  public void force() throws IOException {
    file.force();
  }

  @Override
  public String name() {
    return file.name();
  }

  @Override
  public boolean readOnly() {
    return file.readOnly();
  }

  @Override
  public long size() throws IOException {
    return file.size();
  }

  @Override
  public void read(long offset, MemorySegment to) throws IOException {
    file.read(offset, to);
  }

  @Override
  public void reserve(long offset, long length) throws IOException {
    file.reserve(offset, length);
  }

  @Override
  public boolean punches() {
    return file.punches();
  }

  @Override
  public long nextData(long offset) throws IOException {
    return file.nextData(offset);
  }

  @Override
  public long nextHole(long offset) throws IOException {
    return file.nextHole(offset);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
