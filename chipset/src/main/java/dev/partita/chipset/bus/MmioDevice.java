package dev.partita.chipset.bus;

/// A device in guest-physical address space. Called on processors' threads, several at the same
/// time; must not block or throw, whatever the guest writes.
public interface MmioDevice {
  /// Reads.
  ///
  /// @param offset from the start of the device's range
  /// @param size bytes: 1, 2, 4 or 8; the access may reach past the range's end
  /// @return the answer; bits over the size are ignored
  long readMmio(long offset, int size);

  /// Writes.
  ///
  /// @param offset from the start of the device's range
  /// @param size bytes: 1, 2, 4 or 8; the access may reach past the range's end
  /// @param value zero-extended
  void writeMmio(long offset, int size, long value);
}
