package dev.partita.hypervisor;

/// The bus between the local APICs of a partition whose engine has none of its own.
public interface LocalApicBus {
  /// Makes the local APIC of a processor; called once for each, in index order, while the partition
  /// is
  /// made. The bus raises interrupts, NMI, INIT and start-up through the processor's methods.
  LocalApic connect(VirtualProcessor processor);

  /// Delivers a message-signalled interrupt; see {@link Partition#signalMsi}. Any thread.
  void signalMsi(long address, int data);

  /// The level of the legacy line into the boot processor's LINT0. Any thread.
  void setExternalInterrupt(boolean asserted);

  /// Sets who is told of the end of a level-triggered interrupt: the engine, which passes it on as
  /// {@link Intercept.EndOfInterrupt}. Called once, before anything runs.
  void onEndOfInterrupt(EndOfInterruptListener listener);

  /// Hears of EOI writes for level-triggered vectors, on the thread of the processor that wrote.
  @FunctionalInterface
  interface EndOfInterruptListener {
    void endOfInterrupt(int processorIndex, int vector);
  }
}
