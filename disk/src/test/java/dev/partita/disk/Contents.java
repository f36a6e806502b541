package dev.partita.disk;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/// Reads and compares what disks hold.
final class Contents {
  private Contents() {}

  static byte[] read(VirtualDisk disk, long offset, int length) throws IOException {
    var bytes = new byte[length];
    disk.read(offset, MemorySegment.ofArray(bytes));
    return bytes;
  }

  static void assertSame(VirtualDisk one, VirtualDisk other) throws IOException {
    assertThat(one.size()).isEqualTo(other.size());
    for (long at = 0; at < one.size(); at += 1 << 20) {
      int length = (int) Math.min(1 << 20, one.size() - at);
      assertThat(read(one, at, length)).as("at %#x", at).isEqualTo(read(other, at, length));
    }
  }
}
