package dev.partita.vmbus;

import dev.partita.hypervisor.GuestMemory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.LongPredicate;

/// Bytes of guest RAM that lie one after another in a list of pages (Linux, `struct gpa_range`).
///
/// @param byteCount bytes, at least 0
/// @param byteOffset of the first byte in the first page, 0 to 4095
/// @param pages page frame numbers, as many as offset and count need; not changed after the record
///     is made
public record GpaRange(int byteCount, int byteOffset, long[] pages) {
  /// Bytes before the page numbers in a message or packet.
  static final int HEADER_SIZE = 8;

  public GpaRange {
    if (byteCount < 0
        || byteOffset < 0
        || byteOffset >= GuestMemory.PAGE_SIZE
        || pages.length != pageCount(byteCount, byteOffset)) {
      throw new IllegalArgumentException(
          "%d bytes from offset %d in %d pages".formatted(byteCount, byteOffset, pages.length));
    }
  }

  private static long pageCount(int byteCount, int byteOffset) {
    return ((long) byteCount + byteOffset + GuestMemory.PAGE_SIZE - 1) / GuestMemory.PAGE_SIZE;
  }

  /// Reads ranges a guest describes.
  ///
  /// @param buffer little-endian, already a copy; nothing beyond its limit is read
  /// @param count how many ranges the guest says there are, unsigned
  /// @param isRam whether a page frame number is RAM
  /// @return empty if they are not all there, or not all RAM
  static Optional<List<GpaRange>> parse(ByteBuffer buffer, int count, LongPredicate isRam) {
    if (count < 0 || count > buffer.remaining() / HEADER_SIZE) {
      return Optional.empty();
    }
    var ranges = new ArrayList<GpaRange>();
    for (int i = 0; i < count; i++) {
      if (buffer.remaining() < HEADER_SIZE) {
        return Optional.empty();
      }
      int byteCount = buffer.getInt();
      int byteOffset = buffer.getInt();
      if (byteCount < 0 || byteOffset < 0 || byteOffset >= GuestMemory.PAGE_SIZE) {
        return Optional.empty();
      }
      long needed = pageCount(byteCount, byteOffset);
      if (needed > buffer.remaining() / Long.BYTES) {
        return Optional.empty();
      }
      var pages = new long[(int) needed];
      for (int j = 0; j < pages.length; j++) {
        pages[j] = buffer.getLong();
        if (!isRam.test(pages[j])) {
          return Optional.empty();
        }
      }
      ranges.add(new GpaRange(byteCount, byteOffset, pages));
    }
    return Optional.of(ranges);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof GpaRange o
        && byteCount == o.byteCount
        && byteOffset == o.byteOffset
        && Arrays.equals(pages, o.pages);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(pages) * 31 + byteCount;
  }
}
