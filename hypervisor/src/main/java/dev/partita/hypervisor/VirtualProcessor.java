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

  /// Instructions retired since creation, for statistics; a running processor's count may lag.
  long instructionCount();
}
