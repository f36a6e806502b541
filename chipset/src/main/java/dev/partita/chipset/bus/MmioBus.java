package dev.partita.chipset.bus;

import java.util.Arrays;
import java.util.Comparator;
import org.jspecify.annotations.Nullable;

/// Which device answers at which guest-physical address that is not RAM. Addresses nobody claims
/// read all ones and swallow writes.
///
/// Devices may be claimed and released at any time, from any thread; dispatch takes no lock.
public final class MmioBus {
  private record Range(long first, long last, MmioDevice device) {}

  /// Ascending and disjoint; replaced as a whole.
  private volatile Range[] ranges = {};

  /// Gives an address range to a device.
  ///
  /// @param address guest-physical, at least 0
  /// @param length bytes, at least 1
  /// @throws IllegalArgumentException if the range is impossible
  /// @throws IllegalStateException if it overlaps another device's
  public synchronized void claim(long address, long length, MmioDevice device) {
    if (address < 0 || length < 1 || address > Long.MAX_VALUE - length) {
      throw new IllegalArgumentException("MMIO at 0x%x, 0x%x bytes".formatted(address, length));
    }
    var added = new Range(address, address + length - 1, device);
    var old = ranges;
    for (var range : old) {
      if (range.first <= added.last && added.first <= range.last) {
        throw new IllegalStateException(
            "MMIO 0x%x to 0x%x is claimed twice".formatted(added.first, added.last));
      }
    }
    var all = Arrays.copyOf(old, old.length + 1);
    all[old.length] = added;
    Arrays.sort(all, Comparator.comparingLong(Range::first));
    ranges = all;
  }

  /// Takes back all ranges of a device.
  public synchronized void release(MmioDevice device) {
    ranges = Arrays.stream(ranges).filter(range -> range.device != device).toArray(Range[]::new);
  }

  /// Reads from the device at the access's first address.
  ///
  /// @param size bytes: 1, 2, 4 or 8
  /// @return bits over the size are undefined
  public long read(long address, int size) {
    var range = find(address);
    return range == null ? -1 : range.device.readMmio(address - range.first, size);
  }

  /// Writes to the device at the access's first address.
  ///
  /// @param size bytes: 1, 2, 4 or 8
  public void write(long address, int size, long value) {
    var range = find(address);
    if (range != null) {
      range.device.writeMmio(address - range.first, size, value);
    }
  }

  private @Nullable Range find(long address) {
    var all = ranges;
    int low = 0;
    int high = all.length - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      var range = all[middle];
      if (address < range.first) {
        high = middle - 1;
      } else if (address > range.last) {
        low = middle + 1;
      } else {
        return range;
      }
    }
    return null;
  }
}
