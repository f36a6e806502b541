package dev.partita.chipset.interrupt;

import dev.partita.chipset.bus.MmioDevice;

/// An I/O APIC with 24 pins: the 82093AA (Intel 290566) as later chip sets have it, version 0x20
/// with an EOI register (Intel ICH9 datasheet 316972, section 13.5).
///
/// A pin's level is logical, asserted or not: the polarity bit of an entry is kept and has no
/// effect. Thread-safe.
public final class IoApic implements MmioDevice {
  /// Number of pins, which are the global system interrupts 0 to 23.
  public static final int PINS = 24;

  /// Guest-physical address of the first I/O APIC of a PC.
  public static final long ADDRESS = 0xFEC0_0000L;

  /// Bytes of the register window.
  public static final int LENGTH = 0x1000;

  private static final int SELECT = 0x00;
  private static final int WINDOW = 0x10;
  private static final int END_OF_INTERRUPT = 0x40;

  private static final int VERSION_VALUE = (PINS - 1) << 16 | 0x20;

  private static final long LOGICAL = 1 << 11;
  private static final long REMOTE_IRR = 1 << 14;
  private static final long LEVEL = 1 << 15;
  private static final long MASKED = 1 << 16;

  /// Vector, delivery and destination mode, polarity, trigger, mask, destination.
  private static final long WRITABLE = 0xFF00_0000_0001_AFFFL;

  /// Takes the messages.
  @FunctionalInterface
  public interface MessageSink {
    /// As {@link dev.partita.hypervisor.Partition#signalMsi}.
    void signalMsi(long address, int data);
  }

  private final MessageSink sink;
  private final long[] entries = new long[PINS];
  private int id;
  private int select;
  private int lines;

  public IoApic(MessageSink sink) {
    this.sink = sink;
    reset();
  }

  /// Back to power-up: all pins masked. The levels of the pins stay: their drivers own them.
  public synchronized void reset() {
    id = 0;
    select = 0;
    java.util.Arrays.fill(entries, MASKED);
  }

  /// Sets the level of a pin.
  ///
  /// @param pin 0 to 23
  public synchronized void setLine(int pin, boolean asserted) {
    int bit = 1 << pin;
    boolean rises = asserted && (lines & bit) == 0;
    lines = asserted ? lines | bit : lines & ~bit;
    if (rises && !isLevel(entries[pin])) {
      // Edges at a masked pin are lost (82093AA, "Interrupt Mask").
      if ((entries[pin] & MASKED) == 0) {
        send(entries[pin], false);
      }
    } else if (asserted) {
      serviceLevel(pin);
    }
  }

  /// A processor ended a level-triggered interrupt: pins that are still asserted interrupt again.
  public synchronized void endOfInterrupt(int vector) {
    for (int pin = 0; pin < PINS; pin++) {
      long entry = entries[pin];
      if ((entry & REMOTE_IRR) != 0 && (entry & 0xFF) == vector) {
        entries[pin] = entry & ~REMOTE_IRR;
        serviceLevel(pin);
      }
    }
  }

  @Override
  public synchronized long readMmio(long offset, int size) {
    return switch ((int) offset) {
      case SELECT -> select;
      case WINDOW -> readRegister() & 0xFFFF_FFFFL;
      default -> 0;
    };
  }

  @Override
  public synchronized void writeMmio(long offset, int size, long value) {
    switch ((int) offset) {
      case SELECT -> select = (int) value & 0xFF;
      case WINDOW -> {
        if (size >= 4) {
          writeRegister((int) value);
        }
      }
      case END_OF_INTERRUPT -> endOfInterrupt((int) value & 0xFF);
      default -> {}
    }
  }

  private int readRegister() {
    int index = select - 0x10;
    if (index >= 0 && index < 2 * PINS) {
      return (int) (entries[index >> 1] >>> 32 * (index & 1));
    }
    return switch (select) {
      case 0, 2 -> id;
      case 1 -> VERSION_VALUE;
      default -> 0;
    };
  }

  private void writeRegister(int value) {
    int index = select - 0x10;
    if (index >= 0 && index < 2 * PINS) {
      int pin = index >> 1;
      int shift = 32 * (index & 1);
      long half = 0xFFFF_FFFFL << shift;
      long old = entries[pin];
      long written = old & ~half | (value & 0xFFFF_FFFFL) << shift;
      long entry = written & WRITABLE | old & REMOTE_IRR;
      if (!isLevel(entry)) {
        // Software ends an interrupt this way where there is no EOI register.
        entry &= ~REMOTE_IRR;
      }
      entries[pin] = entry;
      serviceLevel(pin);
    } else if (select == 0) {
      id = value & 0x0F00_0000;
    }
  }

  /// Whether a pin is level-triggered: only fixed and lowest-priority delivery can be.
  private static boolean isLevel(long entry) {
    return (entry & LEVEL) != 0 && (entry >> 8 & 7) <= 1;
  }

  private void serviceLevel(int pin) {
    long entry = entries[pin];
    if ((lines & 1 << pin) != 0 && isLevel(entry) && (entry & (MASKED | REMOTE_IRR)) == 0) {
      entries[pin] = entry | REMOTE_IRR;
      send(entry, true);
    }
  }

  /// A redirection entry as a message (Intel SDM, volume 3, "Message Signalled Interrupts").
  private void send(long entry, boolean level) {
    long address = 0xFEE0_0000L | entry >>> 56 << 12 | ((entry & LOGICAL) != 0 ? 1 << 2 : 0);
    int data = (int) (entry & 0x7FF) | (level ? 1 << 14 | 1 << 15 : 0);
    sink.signalMsi(address, data);
  }

  public synchronized IoApicState state() {
    return new IoApicState(id, select, entries.clone(), lines);
  }

  /// Takes over a state; sends no message.
  public synchronized void setState(IoApicState state) {
    id = state.id() & 0x0F00_0000;
    select = state.select() & 0xFF;
    for (int pin = 0; pin < PINS; pin++) {
      entries[pin] = state.entries()[pin] & (WRITABLE | REMOTE_IRR);
    }
    lines = state.lines() & (1 << PINS) - 1;
  }
}
