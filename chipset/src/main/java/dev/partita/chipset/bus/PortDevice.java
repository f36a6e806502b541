package dev.partita.chipset.bus;

import dev.partita.hypervisor.VirtualProcessor;

/// A device on I/O ports. Called on processors' threads, several at the same time; must not block
/// or throw, whatever the guest writes.
public interface PortDevice {
  /// Reads.
  ///
  /// @param port absolute port number
  /// @param size bytes: 1, 2 or 4, at most {@link #widestAccess}
  /// @return the answer; bits over the size are ignored
  int readPort(int port, int size);

  /// Writes.
  ///
  /// @param port absolute port number
  /// @param size bytes: 1, 2 or 4, at most {@link #widestAccess}
  /// @param value zero-extended
  void writePort(int port, int size, int value);

  /// Reads, for a device to which it matters who asks.
  ///
  /// @param processor in whose `IN` this is called, on its thread
  default int readPort(VirtualProcessor processor, int port, int size) {
    return readPort(port, size);
  }

  /// Writes, for a device to which it matters who asks.
  ///
  /// @param processor in whose `OUT` this is called, on its thread
  default void writePort(VirtualProcessor processor, int port, int size, int value) {
    writePort(port, size, value);
  }

  /// The widest access the device decodes, in bytes. The bus splits a wider one into bytes at
  /// successive ports, as a PC's bridge does for ISA devices.
  default int widestAccess() {
    return 1;
  }
}
