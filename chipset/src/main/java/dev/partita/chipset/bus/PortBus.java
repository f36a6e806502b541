package dev.partita.chipset.bus;

import dev.partita.hypervisor.VirtualProcessor;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// Which device answers at which I/O port. Ports nobody claims read all ones and swallow writes.
///
/// Devices may be claimed and released at any time, from any thread; dispatch takes no lock.
public final class PortBus {
  /// Number of I/O ports.
  public static final int PORTS = 0x10000;

  private final AtomicReferenceArray<PortDevice> devices = new AtomicReferenceArray<>(PORTS);

  /// Gives ports to a device.
  ///
  /// @param first port number
  /// @param count number of ports, at least 1
  /// @throws IllegalArgumentException if a port is not in 0 to 0xFFFF
  /// @throws IllegalStateException if another device has one of them
  public synchronized void claim(int first, int count, PortDevice device) {
    if (first < 0 || count < 1 || first > PORTS - count) {
      throw new IllegalArgumentException("ports 0x%x, %d of them".formatted(first, count));
    }
    for (int port = first; port < first + count; port++) {
      if (devices.get(port) != null) {
        throw new IllegalStateException("port 0x%x is claimed twice".formatted(port));
      }
    }
    for (int port = first; port < first + count; port++) {
      devices.set(port, device);
    }
  }

  /// Takes back all ports of a device.
  public synchronized void release(PortDevice device) {
    for (int port = 0; port < PORTS; port++) {
      if (devices.get(port) == device) {
        devices.set(port, null);
      }
    }
  }

  /// Reads from the device at the first port of the access.
  ///
  /// @param port 0 to 0xFFFF
  /// @param size bytes: 1, 2 or 4
  /// @return zero-extended
  public int read(VirtualProcessor processor, int port, int size) {
    var device = devices.getAcquire(port & 0xFFFF);
    if (device == null) {
      return mask(size);
    }
    if (size <= device.widestAccess()) {
      return device.readPort(processor, port & 0xFFFF, size) & mask(size);
    }
    int value = 0;
    for (int i = 0; i < size; i++) {
      value |= read(processor, port + i, 1) << 8 * i;
    }
    return value;
  }

  /// Writes to the device at the first port of the access.
  ///
  /// @param port 0 to 0xFFFF
  /// @param size bytes: 1, 2 or 4
  public void write(VirtualProcessor processor, int port, int size, int value) {
    var device = devices.getAcquire(port & 0xFFFF);
    if (device == null) {
      return;
    }
    if (size <= device.widestAccess()) {
      device.writePort(processor, port & 0xFFFF, size, value & mask(size));
      return;
    }
    for (int i = 0; i < size; i++) {
      write(processor, port + i, 1, value >>> 8 * i & 0xFF);
    }
  }

  private static int mask(int size) {
    return size >= 4 ? -1 : (1 << 8 * size) - 1;
  }
}
