package dev.partita.hypervisor;

/// A local APIC's saveable state.
///
/// @param apicBase the IA32_APIC_BASE register
/// @param registers the 4 KiB register page in xAPIC layout (Intel SDM volume 3, table "Local APIC
///     Register Address Map"); KVM's format, so that it moves between engines
/// @param tscDeadline IA32_TSC_DEADLINE, 0 when disarmed
/// @param timerRemaining nanoseconds until the one-shot or periodic timer fires, -1 when stopped
public record LocalApicState(
    long apicBase, byte[] registers, long tscDeadline, long timerRemaining) {
  /// Bytes in {@link #registers}.
  public static final int REGISTERS_SIZE = 0x400;

  public LocalApicState {
    if (registers.length != REGISTERS_SIZE) {
      throw new IllegalArgumentException("local APIC page has " + registers.length + " bytes");
    }
  }
}
