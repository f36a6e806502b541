package dev.partita.chipset.device;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;

/// Port 0x80: the power-on self-test's progress code. Software writes there to wait about a
/// microsecond. Thread-safe.
public final class PostCodePort implements PortDevice {
  private static final int PORT = 0x80;

  private volatile int code;

  /// Claims the port.
  public void attach(PortBus ports) {
    ports.claim(PORT, 1, this);
  }

  @Override
  public int readPort(int port, int size) {
    return code;
  }

  @Override
  public void writePort(int port, int size, int value) {
    code = value;
  }

  /// The last code written, 0 to 255.
  public int code() {
    return code;
  }

  public void setCode(int code) {
    this.code = code & 0xFF;
  }
}
