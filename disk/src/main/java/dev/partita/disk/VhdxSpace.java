package dev.partita.disk;

import java.io.IOException;
import java.util.BitSet;

/// Which mebibytes of a VHDX file are in use. Thread-safe.
final class VhdxSpace {
  private final DiskFile file;
  private final BitSet used = new BitSet();
  private int hint;

  VhdxSpace(DiskFile file) {
    this.file = file;
    used.set(0, (int) (VhdxLayout.HEADER_SECTION / VhdxLayout.MIB));
  }

  /// Room for a structure.
  ///
  /// @param offset where it is
  /// @param stale how many of its first bytes may hold something old; the rest are zeroes
  record Room(long offset, long stale) {}

  /// Marks a range as in use.
  ///
  /// @return false when a part of it was already
  synchronized boolean reserve(long offset, long length) {
    int from = mebibytes(offset);
    int to = mebibytes(offset + length);
    int taken = used.nextSetBit(from);
    if (taken >= 0 && taken < to) {
      return false;
    }
    used.set(from, to);
    return true;
  }

  /// Takes room, within the file where something was given back, else after its end. The file is
  /// long enough for it when this returns.
  synchronized Room allocate(long length) throws IOException {
    int count = mebibytes(length);
    int last = used.length();
    int at = used.nextClearBit(hint);
    while (at < last) {
      int next = used.nextSetBit(at);
      if (next - at >= count) {
        break;
      }
      at = used.nextClearBit(next);
    }
    if (hint > 0 && at >= last) {
      // Nothing after the hint: what was given back before it serves a later request, from the
      // beginning again.
      hint = 0;
    } else {
      hint = at;
    }
    long offset = at * VhdxLayout.MIB;
    long size = file.size();
    if (size < offset + length) {
      file.resize(offset + length);
    }
    used.set(at, at + count);
    return new Room(offset, Math.clamp(size - offset, 0, length));
  }

  /// Gives a range back. The metadata on the medium must no longer point to it.
  synchronized void release(long offset, long length) {
    int from = mebibytes(offset);
    used.clear(from, mebibytes(offset + length));
    hint = Math.min(hint, from);
  }

  /// The byte after the last in use.
  synchronized long end() {
    return used.length() * VhdxLayout.MIB;
  }

  /// Bytes that are not in use, before the end of what is.
  synchronized long holes() {
    return (used.length() - used.cardinality()) * VhdxLayout.MIB;
  }

  private static int mebibytes(long bytes) {
    return Math.toIntExact((bytes + VhdxLayout.MIB - 1) / VhdxLayout.MIB);
  }
}
