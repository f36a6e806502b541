package dev.partita.chipset.device;

/// The PC's four serial ports: where they are (IBM PC/AT; the same in every PC since).
///
/// @see Uart
public enum SerialPort {
  COM1(0x3F8, 4),
  COM2(0x2F8, 3),
  COM3(0x3E8, 4),
  COM4(0x2E8, 3);

  private final int port;
  private final int irq;

  SerialPort(int port, int irq) {
    this.port = port;
    this.irq = irq;
  }

  /// First of its eight I/O ports.
  public int port() {
    return port;
  }

  /// Its ISA interrupt.
  public int irq() {
    return irq;
  }
}
