package dev.partita.chipset.power;

/// Hears when the guest turns its machine off or resets it.
public interface PowerListener {
  /// How the guest asked for a reset.
  enum ResetCause {
    /// The reset control register at port 0xCF9, which is also the ACPI reset register.
    RESET_REGISTER,
    /// The keyboard controller's pulse of the reset line.
    KEYBOARD_CONTROLLER,
    /// The fast reset bit of port 0x92.
    PORT_92
  }

  /// The guest entered ACPI state S5. Called on the thread of the processor that asked, in the
  /// middle of its instruction; it may be called again.
  void poweredOff();

  /// The guest asked for a reset. Called on the thread of the processor that asked, in the middle
  /// of its instruction; it may be called again.
  void resetRequested(ResetCause cause);
}
