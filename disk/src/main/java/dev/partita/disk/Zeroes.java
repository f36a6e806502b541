package dev.partita.disk;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Zeroes to write from, and how to see them.
final class Zeroes {
  /// A mebibyte of zeroes; read-only.
  static final MemorySegment SEGMENT = Arena.global().allocate(1 << 20).asReadOnly();

  private Zeroes() {}

  /// Whether a segment holds nothing but zeroes.
  static boolean fill(MemorySegment segment) {
    for (long at = 0; at < segment.byteSize(); at += SEGMENT.byteSize()) {
      long length = Math.min(SEGMENT.byteSize(), segment.byteSize() - at);
      if (MemorySegment.mismatch(segment, at, at + length, SEGMENT, 0, length) >= 0) {
        return false;
      }
    }
    return true;
  }
}
