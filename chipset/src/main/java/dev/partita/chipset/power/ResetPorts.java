package dev.partita.chipset.power;

import dev.partita.chipset.bus.PortBus;
import dev.partita.chipset.bus.PortDevice;
import dev.partita.chipset.power.PowerListener.ResetCause;
import org.jspecify.annotations.Nullable;

/// The ways a PC's software resets it besides ACPI: the reset control register at 0xCF9, the
/// keyboard controller's command 0xFE, and port 0x92. Thread-safe.
///
/// There is no keyboard controller otherwise: its status reads "output buffer full, input buffer
/// empty" for ever, which a driver's first flush takes for an absent controller while software that
/// waits to send the reset command is not held up.
public final class ResetPorts implements PortDevice {
  private static final int KEYBOARD_DATA = 0x60;
  private static final int KEYBOARD_COMMAND = 0x64;
  private static final int SYSTEM_CONTROL_A = 0x92;

  /// The reset control register (Intel ICH9 datasheet 316972, section 13.7.5).
  public static final int RESET_CONTROL = 0xCF9;

  /// Value for {@link #RESET_CONTROL} that resets the whole machine.
  public static final int RESET_VALUE = 0x06;

  /// All ones but bit 1, the input buffer's.
  private static final int ABSENT = 0xFD;

  private static final int PULSE_RESET = 0xFE;

  private static final int FAST_RESET = 1;
  private static final int A20 = 1 << 1;

  private static final int RESET_CPU = 1 << 2;
  private static final int RESET_CONTROL_KEPT = 0x0E;

  private final PowerListener listener;
  private int systemControl = A20;
  private int resetControl;

  /// The registers' values.
  ///
  /// @param systemControl port 0x92
  /// @param resetControl port 0xCF9
  public record State(int systemControl, int resetControl) {}

  public ResetPorts(PowerListener listener) {
    this.listener = listener;
  }

  /// Claims the ports.
  public void attach(PortBus ports) {
    ports.claim(KEYBOARD_DATA, 1, this);
    ports.claim(KEYBOARD_COMMAND, 1, this);
    ports.claim(SYSTEM_CONTROL_A, 1, this);
    ports.claim(RESET_CONTROL, 1, this);
  }

  public synchronized void reset() {
    systemControl = A20;
    resetControl = 0;
  }

  @Override
  public synchronized int readPort(int port, int size) {
    return switch (port) {
      case KEYBOARD_COMMAND -> ABSENT;
      // Address line 20 is always enabled.
      case SYSTEM_CONTROL_A -> systemControl | A20;
      case RESET_CONTROL -> resetControl;
      default -> 0xFF;
    };
  }

  @Override
  public void writePort(int port, int size, int value) {
    var cause = write(port, value);
    if (cause != null) {
      listener.resetRequested(cause);
    }
  }

  private synchronized @Nullable ResetCause write(int port, int value) {
    switch (port) {
      case KEYBOARD_COMMAND -> {
        return value == PULSE_RESET ? ResetCause.KEYBOARD_CONTROLLER : null;
      }
      case SYSTEM_CONTROL_A -> {
        boolean rises = (value & ~systemControl & FAST_RESET) != 0;
        systemControl = value & 0xFF;
        return rises ? ResetCause.PORT_92 : null;
      }
      case RESET_CONTROL -> {
        boolean rises = (value & ~resetControl & RESET_CPU) != 0;
        resetControl = value & RESET_CONTROL_KEPT;
        return rises ? ResetCause.RESET_REGISTER : null;
      }
      default -> {
        return null;
      }
    }
  }

  public synchronized State state() {
    return new State(systemControl, resetControl);
  }

  public synchronized void setState(State state) {
    systemControl = state.systemControl() & 0xFF;
    resetControl = state.resetControl() & RESET_CONTROL_KEPT;
  }
}
