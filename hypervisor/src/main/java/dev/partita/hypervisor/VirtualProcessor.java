package dev.partita.hypervisor;

/// One virtual processor. {@link #run} is called by the one platform thread that owns it; state is
/// read and written only while it does not run. The other methods may be called from any thread.
public interface VirtualProcessor {
  /// The index in the partition, from 0; also the APIC id.
  int index();

  /// Runs guest code on the calling thread until something ends it. A processor that waits (halted,
  /// or for a start-up IPI) waits inside this call.
  ///
  /// @param handler is called on this thread for each intercept, in the middle of the instruction
  RunExit run(InterceptHandler handler);

  /// Makes the current {@link #run}, or the next one if none is active, return {@link
  /// RunExit#CANCELLED} soon.
  void cancel();

  /// All architectural state. Only while not running.
  ProcessorState state();

  /// Replaces all architectural state. Only while not running.
  ///
  /// @throws IllegalArgumentException if the state is impossible
  void setState(ProcessorState state);

  /// The guest's time stamp counter now, as RDTSC would read it here.
  long readTsc();

  /// Tells a processor that its local APIC may have a deliverable interrupt now. Called by a {@link
  /// LocalApic} only.
  void interruptRequested();

  /// Raises a non-maskable interrupt.
  void requestNmi();

  /// An INIT IPI: reset to wait-for-SIPI (the boot processor restarts at the reset vector).
  void requestInit();

  /// A start-up IPI.
  ///
  /// @param vector page number of the real-mode entry point, 0 to 255
  void requestStartup(int vector);

  /// A general register in the middle of an intercept. Legal only inside {@link
  /// InterceptHandler#handle}, on this processor's thread.
  ///
  /// @param register {@link ProcessorState#RAX} to 15 (R15)
  /// @return all 64 bits, whatever the mode
  long general(int register);

  /// Changes a general register in the middle of an intercept: the guest sees the value after the
  /// intercepted instruction. Legal only inside {@link InterceptHandler#handle}, on the thread of
  /// this processor, for an intercept whose instruction writes no general register ({@link
  /// Intercept.PortWrite}, {@link Intercept.MmioWrite}, {@link Intercept.MsrWrite}).
  ///
  /// @param register {@link ProcessorState#RAX} to 15 (R15)
  /// @param value all 64 bits, whatever the mode
  void setGeneral(int register, long value);

  /// The mode of the intercepted instruction. Legal only inside {@link InterceptHandler#handle}, on
  /// this processor's thread.
  Mode mode();

  /// The privilege level (CPL) of the intercepted instruction, 0 to 3. Legal only inside {@link
  /// InterceptHandler#handle}, on this processor's thread.
  int privilegeLevel();

  /// The modes an instruction runs in (Intel SDM volume 1, "Modes of Operation").
  enum Mode {
    REAL,
    VIRTUAL_8086,
    /// 16-bit or 32-bit protected mode, IA-32e mode off.
    PROTECTED,
    /// IA-32e mode with a 16-bit or 32-bit code segment.
    COMPATIBILITY,
    /// IA-32e mode with a 64-bit code segment.
    LONG
  }

  /// Counters of this engine for statistics, by name, such as `decoded instructions`; in a fixed
  /// order; empty for an engine that counts nothing. A running processor's values may lag.
  default java.util.Map<String, Long> counters() {
    return java.util.Map.of();
  }

  /// Instructions retired since creation, for statistics; a running processor's count may lag.
  long instructionCount();
}
