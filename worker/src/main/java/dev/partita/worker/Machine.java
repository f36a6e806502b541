package dev.partita.worker;

import dev.partita.hypervisor.ProcessorState;

/// One life of a partition's hardware, from power-on until it is closed. A reset closes it, and the
/// worker makes another.
interface Machine extends AutoCloseable {
  /// Starts the virtual processors; returns at once.
  void start();

  /// Counters so far. May be called at any time before and after {@link #close}.
  Statistics statistics();

  /// Stops the processors, waits for their threads, and frees everything. Idempotent.
  @Override
  void close();

  /// Makes machines.
  @FunctionalInterface
  interface Factory {
    /// Makes a machine, loaded and ready to start.
    ///
    /// @param events hears what ends it; called on any thread, also during {@link Machine#start}
    /// @throws dev.partita.hypervisor.PartitionException if it cannot be made as asked
    Machine create(Events events);
  }

  /// What the guest does to the machine as a whole. The first one counts.
  interface Events {
    /// The guest switched the machine off.
    void poweredOff();

    /// The guest reset the machine.
    void reset();

    /// A virtual processor cannot go on.
    ///
    /// @param summary one line
    /// @param state registers at that moment
    /// @param code bytes at the instruction pointer
    void crashed(int processor, String summary, ProcessorState state, byte[] code);

    /// The guest says that it has crashed.
    ///
    /// @param summary one line
    /// @param words what else it said, a line each
    void panicked(String summary, java.util.List<String> words);

    /// Partita itself failed.
    void failed(Throwable cause);
  }
}
