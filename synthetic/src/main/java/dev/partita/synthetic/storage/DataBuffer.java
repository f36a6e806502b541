package dev.partita.synthetic.storage;

import dev.partita.hypervisor.GuestMemory;
import dev.partita.vmbus.GpaRange;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/// The guest's memory that a request moves data to or from: runs of RAM, one after the other. One
/// thread at a time.
final class DataBuffer {
  static final DataBuffer NONE = new DataBuffer(null, new long[0], new long[0], 0, 0);

  private static final int PAGE_SHIFT = 12;

  private final @Nullable GuestMemory memory;
  private final long[] addresses;
  private final long[] lengths;
  private final int runs;
  private final int length;

  private DataBuffer(
      @Nullable GuestMemory memory, long[] addresses, long[] lengths, int runs, int length) {
    this.memory = memory;
    this.addresses = addresses;
    this.lengths = lengths;
    this.runs = runs;
    this.length = length;
  }

  /// @param ranges all in RAM
  /// @param most bytes of them that may be used, at least 0
  static DataBuffer of(GuestMemory memory, List<GpaRange> ranges, int most) {
    int pages = 0;
    for (var range : ranges) {
      pages += range.pages().length;
    }
    var addresses = new long[pages];
    var lengths = new long[pages];
    int runs = 0;
    int total = 0;
    for (var range : ranges) {
      int left = Math.min(range.byteCount(), most - total);
      total += left;
      int within = range.byteOffset();
      for (long page : range.pages()) {
        int piece = Math.min(GuestMemory.PAGE_SIZE - within, left);
        if (piece == 0) {
          break;
        }
        long address = (page << PAGE_SHIFT) + within;
        if (runs > 0 && addresses[runs - 1] + lengths[runs - 1] == address) {
          lengths[runs - 1] += piece;
        } else {
          addresses[runs] = address;
          lengths[runs++] = piece;
        }
        left -= piece;
        within = 0;
      }
    }
    return new DataBuffer(memory, addresses, lengths, runs, total);
  }

  /// Bytes.
  int length() {
    return length;
  }

  /// Does something to a run.
  @FunctionalInterface
  private interface Run {
    /// @param done bytes in the runs before
    void act(GuestMemory ram, long address, long bytes, int done);
  }

  private void each(int count, Run action) {
    each(0, count, action);
  }

  private void each(int from, int count, Run action) {
    if (from < 0 || count < 0 || count > length - from) {
      throw new IllegalArgumentException(
          "%d bytes from %d of a buffer of %d".formatted(count, from, length));
    }
    var ram = memory;
    int skip = from;
    int done = 0;
    for (int i = 0; ram != null && i < runs && done < count; i++) {
      if (skip >= lengths[i]) {
        skip -= (int) lengths[i];
        continue;
      }
      long bytes = Math.min(lengths[i] - skip, count - done);
      action.act(ram, addresses[i] + skip, bytes, done);
      skip = 0;
      done += (int) bytes;
    }
  }

  /// The first bytes as memory. Whoever writes there calls {@link #written} afterwards.
  ///
  /// @param count at most the length
  List<MemorySegment> segments(int count) {
    var segments = new ArrayList<MemorySegment>(runs);
    each(count, (ram, address, bytes, _) -> segments.add(ram.slice(address, bytes)));
    return segments;
  }

  /// Tells that the first bytes were written.
  void written(int count) {
    each(count, (ram, address, bytes, _) -> ram.written(address, bytes));
  }

  /// Copies bytes to the guest.
  ///
  /// @param most bytes at most, as the command allows
  /// @return how many: as many as there are, are allowed and have room
  int put(byte[] data, int most) {
    int count = Math.min(Math.min(data.length, most), length);
    each(
        count,
        (ram, address, bytes, done) ->
            MemorySegment.copy(
                data, done, ram.slice(address, bytes), ValueLayout.JAVA_BYTE, 0, (int) bytes));
    written(count);
    return count;
  }

  /// Copies bytes from the guest, once.
  ///
  /// @param most bytes at most
  byte[] get(int most) {
    var data = new byte[Math.min(most, length)];
    each(
        data.length,
        (ram, address, bytes, done) ->
            MemorySegment.copy(
                ram.slice(address, bytes), ValueLayout.JAVA_BYTE, 0, data, done, (int) bytes));
    return data;
  }

  /// Whether bytes are those of the guest's.
  ///
  /// @param from where the guest's begin in the buffer, with as many after it
  boolean matches(int from, MemorySegment bytes) {
    boolean[] same = {true};
    each(
        from,
        (int) bytes.byteSize(),
        (ram, address, count, done) ->
            same[0] &= ram.slice(address, count).mismatch(bytes.asSlice(done, count)) < 0);
    return same[0];
  }

  @Override
  public String toString() {
    return "%d bytes in %s".formatted(length, Arrays.toString(Arrays.copyOf(addresses, runs)));
  }
}
