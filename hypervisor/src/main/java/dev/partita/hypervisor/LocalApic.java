package dev.partita.hypervisor;

/// The local APIC of one virtual processor, as its processor uses it. Made by the {@link
/// LocalApicBus}
/// of an engine that has none of its own. Register access comes only from the owning processor's
/// thread; interrupts arrive from any.
public interface LocalApic {
  /// Whether {@link #acknowledge()} would give a vector now, or the external line is asserted and
  /// LINT0 lets it through. Cheap: processors poll it at every interrupt window.
  boolean interruptPending();

  /// Takes the highest pending vector into service.
  ///
  /// @return the vector, 16 to 255; {@link #EXTERNAL} if the legacy controller is to be asked; -1
  /// if
  ///     there is none
  int acknowledge();

  /// {@link #acknowledge()} found the external line (ExtINT).
  int EXTERNAL = 256;

  /// The IA32_APIC_BASE register (MSR 0x1B).
  long apicBase();

  /// Writes IA32_APIC_BASE.
  ///
  /// @return false if the value is not allowed (general-protection fault)
  boolean setApicBase(long value);

  /// Reads a register of the memory-mapped page (xAPIC mode). Not called when the page is not
  /// mapped.
  ///
  /// @param offset into the page, 0 to 0xFFF
  int readMmio(int offset);

  void writeMmio(int offset, int value);

  /// Reads an x2APIC register (MSR 0x800 to 0x8FF).
  ///
  /// @return false if not allowed in this mode (general-protection fault); else the value is in
  ///     `into.value`
  boolean readMsr(int index, Intercept.MsrRead into);

  /// Writes an x2APIC register (MSR 0x800 to 0x8FF).
  ///
  /// @return false if not allowed (general-protection fault)
  boolean writeMsr(int index, long value);

  /// IA32_TSC_DEADLINE (MSR 0x6E0), in ticks of the processor's TSC; 0 is disarmed.
  long tscDeadline();

  void setTscDeadline(long deadline);

  /// CR8: bits 7:4 of the task priority, 0 to 15.
  int taskPriority();

  void setTaskPriority(int priority);

  /// Back to the state after reset or INIT; the APIC id stays.
  void reset();

  LocalApicState state();

  void setState(LocalApicState state);
}
