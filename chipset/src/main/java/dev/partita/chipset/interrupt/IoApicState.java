package dev.partita.chipset.interrupt;

/// An I/O APIC's saveable state.
///
/// @param id the identification register
/// @param select the register select register
/// @param entries the redirection table
/// @param lines bit n: pin n is asserted
public record IoApicState(int id, int select, long[] entries, int lines) {
  public IoApicState {
    if (entries.length != IoApic.PINS) {
      throw new IllegalArgumentException(entries.length + " redirection entries, not 24");
    }
  }
}
